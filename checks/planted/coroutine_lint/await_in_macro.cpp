asio::awaitable<void> test() {
  REQUIRE(co_await read() == 3);  // expect: await-in-macro
  CHECK_THROWS_AS(co_await read(), contrail::error);  // expect: await-in-macro
}
