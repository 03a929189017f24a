asio::awaitable<void> copy() {
  asio::co_spawn(ex, [this]() -> asio::awaitable<void> { co_await read(); }, done);  // expect: lambda-to-initiation
  auto started = asio::async_initiate<token_type, void()>([x](auto handler) { go(handler, x); }, token);  // expect: lambda-to-initiation
  co_await std::move(started);
}
