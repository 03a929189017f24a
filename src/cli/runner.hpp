#pragma once

#include "cli/arguments.hpp"
#include "cli/console.hpp"

#include <contrail/progress.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>

#include <chrono>
#include <exception>
#include <optional>
#include <string>
#include <utility>

namespace contrail::cli {

/// What the redrawn line shows of a running operation.
struct watched {
  watched() = default;
  watched(std::string with_label, const progress& with_counters, bool with_reads)
      : label(std::move(with_label)), counters(&with_counters), reads(with_reads) {}
  std::string label;
  const progress* counters = nullptr;   ///< null: nothing is shown
  bool reads = false;                   ///< count what was read, not what was taken
};

/// Runs one operation after the other on the event loop, in this thread. The system's signals to stop cancel the one that runs, and it is
/// waited for: whatever it began is undone first. Lives as long as the program has something to say: from its construction on no
/// signal kills.
class runner {
 public:
  runner(console& out, progress_mode mode);
  runner(const runner&) = delete;
  runner& operator=(const runner&) = delete;

  asio::any_io_executor executor() noexcept { return context_.get_executor(); }
  void set_mode(progress_mode mode) noexcept { mode_ = mode; }

  /// The operation's result. Throws what it threw, or `interrupted` when a signal ended it. T is default constructible.
  template <typename T>
  T run(asio::awaitable<T> operation, const watched& shown = {}) {
    std::exception_ptr failed;
    std::optional<T> result;
    // The one before may have been done before its signal was.
    check_signals();
    begin(shown);
    asio::co_spawn(context_, std::move(operation),
                   asio::bind_cancellation_slot(cancel_.slot(), [this, &failed, &result](std::exception_ptr e, T value) {
                     failed = std::move(e);
                     result.emplace(std::move(value));
                     end();
                   }));
    context_.run();
    check(failed);
    return std::move(*result);
  }

  /// For steps that do not run on the loop: throws `interrupted` when a signal came.
  void check_signals();

 private:
  void begin(const watched& shown);
  void end();
  void check(const std::exception_ptr& failed);
  void wait_for_signal();
  void wait_for_tick();
  void draw();

  console& out_;
  progress_mode mode_;
  asio::io_context context_;
  asio::signal_set signals_;
  asio::steady_timer tick_;
  asio::cancellation_signal cancel_;
  bool running_ = false;
  int signal_ = 0;
  watched shown_;
  std::chrono::steady_clock::time_point started_{}, drawn_{};
  std::uint64_t drawn_bytes_ = 0;
  double rate_ = 0;
};

}  // namespace contrail::cli
