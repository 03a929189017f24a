asio::awaitable<report> copy() {
  report made{co_await read(file)};  // expect: await-in-braces
  std::vector<int> numbers = {1, co_await read(file)};  // expect: await-in-braces
  use(report{number(co_await read(file)), 3});  // expect: await-in-braces
  co_return report{.bytes = co_await read(file)};  // expect: await-in-braces
}
