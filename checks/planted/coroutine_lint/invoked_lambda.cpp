void start() {
  auto work = [this]() -> asio::awaitable<void> { co_await read(); }();  // expect: invoked-lambda
  spawn(([&]() -> asio::awaitable<int> { co_return number; })());  // expect: invoked-lambda
  spawn([name] { co_await read(name); }());  // expect: invoked-lambda
}
