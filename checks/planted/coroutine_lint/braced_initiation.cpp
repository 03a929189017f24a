asio::awaitable<void> copy() {
  auto started = asio::async_initiate<token_type, void(int)>(start_copy{file, 3}, token);  // expect: braced-initiation
  co_await std::move(started);
}
