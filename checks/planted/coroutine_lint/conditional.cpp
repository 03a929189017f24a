asio::awaitable<std::string> name() {
  auto one = known ? cached() : co_await read();  // expect: conditional
  use(co_await ready() ? std::string("yes") : std::string("no"));  // expect: conditional
  co_await visit(known ? cached() : std::string("none"));  // expect: conditional
  co_return (known ? co_await read() : other());  // expect: conditional
}
