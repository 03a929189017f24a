asio::awaitable<void> copy() {
  co_await offload([this] { return read(); });  // expect: lambda-with-await
  const auto n = co_await asio::async_initiate<token, void()>([&](auto handler) mutable { go(handler); }, token());  // expect: lambda-with-await lambda-to-initiation
  co_await run(std::function<void()>([name = std::string("x")]() -> void { print(name); }));  // expect: lambda-with-await
}
