#pragma once

#include <contrail/error.hpp>
#include <contrail/observer.hpp>

#include <asio/awaitable.hpp>

#include <algorithm>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

/// What a call came to, for tests that expect failures: the code, nothing thrown. Anything but contrail::error is a fault in itself.
template <typename T>
asio::awaitable<std::error_code> outcome_of(asio::awaitable<T> call) {
  std::error_code ec;
  try {
    co_await std::move(call);
  } catch (const contrail::error& e) {
    ec = e.code();
  }
  co_return ec;
}

/// Keeps the numbers of events.
class event_log final : public contrail::observer {
 public:
  void on_event(const contrail::event& e) noexcept override {
    numbers.push_back(e.number);
    texts.emplace_back(e.text);
  }
  bool has(int number) const { return std::find(numbers.begin(), numbers.end(), number) != numbers.end(); }
  std::vector<int> numbers;
  std::vector<std::string> texts;
};
