#pragma once

#include <contrail/engines/pagestore.hpp>

#include <asio/awaitable.hpp>
#include <asio/buffer.hpp>

#include <cstddef>
#include <string>

/// Pages that begin with a word of three letters, each changed by a transaction of its own.
namespace pagestore_texts {

using namespace contrail::pagestore;

/// Into one page, or into two at once.
inline asio::awaitable<void> put(instance& store, database d, page_no one, std::string text, page_no other = 0) {
  transaction t = store.begin();
  co_await t.write(d, one, 0, asio::buffer(text));
  if (other != 0) co_await t.write(d, other, 0, asio::buffer(text));
  const commit_info done = co_await t.commit();
  static_cast<void>(done);
}

/// Into a new page.
inline asio::awaitable<page_no> add(instance& store, database d, std::string text) {
  transaction t = store.begin();
  const page_no n = co_await t.allocate(d);
  co_await t.write(d, n, 0, asio::buffer(text));
  const commit_info done = co_await t.commit();
  static_cast<void>(done);
  co_return n;
}

inline asio::awaitable<std::string> get(instance& store, database d, page_no n) {
  transaction t = store.begin();
  std::string out(3, '\0');
  const std::size_t count = co_await t.read(d, n, 0, asio::buffer(out));
  out.resize(count);
  co_return out;
}

inline asio::awaitable<std::string> both(instance& store, database d, page_no one, page_no two) {
  const std::string first = co_await get(store, d, one);
  const std::string second = co_await get(store, d, two);
  co_return first + " " + second;
}

}  // namespace pagestore_texts
