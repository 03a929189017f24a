asio::awaitable<void> copy() {
  if (co_await ready()) go();  // expect: await-in-condition
  if (const int n = co_await read(); n > 0) {  // expect: await-in-condition
    go();
  } else if (limit < co_await read()) {  // expect: await-in-condition
    go();
  }
  while (!co_await ready()) {  // expect: await-in-condition
    go();
  }
  do {
    go();
  } while (co_await read() != 0);  // expect: await-in-condition
  switch (co_await read()) {  // expect: await-in-condition
    case 1: go(); break;
    default: break;
  }
  for (int i = 0; i < co_await read(); ++i) go();  // expect: await-in-condition
}
