asio::awaitable<void> copy() {
  co_await write(options{.name = name});  // expect: aggregate-temporary
  const auto n = co_await write(file, store::options{name, 3});  // expect: aggregate-temporary
  auto both = std::make_pair(pair_of<int>{1, 2}, co_await read());  // expect: aggregate-temporary
  co_return use(co_await read(), std::vector<int>{1, 2});  // expect: aggregate-temporary
}
