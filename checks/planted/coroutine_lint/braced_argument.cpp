asio::awaitable<void> copy() {
  co_await write({name, 3});  // expect: braced-argument
  const auto n = co_await write(file, {.name = name});  // expect: braced-argument
  co_await write(file,
                 {});  // expect: braced-argument
}
