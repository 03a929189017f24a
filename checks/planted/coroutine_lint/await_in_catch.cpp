asio::awaitable<void> copy() {
  try {
    co_await read();
  } catch (const contrail::error& e) {
    co_await clean_up();  // expect: await-in-catch
  } catch (...) {
    if (known) {
      const int n = co_await clean_up();  // expect: await-in-catch
    }
  }
}
