#include "cli/runner.hpp"

#include "cli/process.hpp"
#include "cli/quantities.hpp"

#include <asio/error.hpp>
#include <fmt/format.h>

#include <algorithm>

namespace contrail::cli {

namespace {

/// Often enough for people, rare enough for slow terminals.
constexpr std::chrono::milliseconds tick_every(200);
constexpr std::size_t bar_columns = 14;

/// The runner's own set gives the signals their deadly meaning back when it goes, while the program is still on its way out with its
/// result told and its exit status chosen. This one never goes.
void keep_signals_harmless() {
  struct keeper {
    keeper() {
      for (const int signal : process::stop_signals()) {
        signals.add(signal);
      }
    }
    asio::io_context context;
    asio::signal_set signals{context};
  };
  static const keeper* const forever = new keeper;
  (void)forever;
}

}  // namespace

runner::runner(console& out, progress_mode mode) : out_(out), mode_(mode), context_(1), signals_(context_), tick_(context_) {
  keep_signals_harmless();
  for (const int signal : process::stop_signals()) {
    signals_.add(signal);
  }
  for (const int signal : process::hangup_signals()) {
    signals_.add(signal);
  }
}

void runner::begin(const watched& shown) {
  context_.restart();
  running_ = true;
  shown_ = shown;
  started_ = drawn_ = std::chrono::steady_clock::now();
  drawn_bytes_ = 0;
  rate_ = 0;
  wait_for_signal();
  const bool wanted = mode_ == progress_mode::always ||
                      (mode_ == progress_mode::automatic && !out_.as_json() && process::stderr_is_terminal());
  if (wanted && shown_.counters != nullptr) {
    wait_for_tick();
  }
}

void runner::end() {
  running_ = false;
  // The set stays, so that a signal that comes now is not the end of a program that has yet to tell its result.
  signals_.cancel();
  tick_.cancel();
}

void runner::check(const std::exception_ptr& failed) {
  out_.status({});
  if (!failed) {
    return;
  }
  if (signal_ != 0) {
    try {
      std::rethrow_exception(failed);
    } catch (const std::system_error& e) {
      if (e.code() != asio::error::operation_aborted && e.code() != std::errc::operation_canceled) {
        out_.note(e.what());
      }
    } catch (const std::exception& e) {
      out_.note(e.what());
    }
    throw interrupted(signal_);
  }
  std::rethrow_exception(failed);
}

void runner::check_signals() {
  context_.restart();
  signals_.async_wait([this](std::error_code ec, int signal) {
    if (!ec) {
      signal_ = signal;
    }
  });
  context_.poll();
  signals_.cancel();
  context_.restart();
  context_.poll();
  if (signal_ != 0) {
    throw interrupted(signal_);
  }
}

void runner::wait_for_signal() {
  signals_.async_wait([this](std::error_code ec, int signal) {
    if (ec || !running_) {
      return;
    }
    if (signal_ == 0) {
      signal_ = signal;
      cancel_.emit(asio::cancellation_type::terminal);
    } else {
      out_.note("already stopping; cleaning up first");
    }
    wait_for_signal();
  });
}

void runner::wait_for_tick() {
  tick_.expires_after(tick_every);
  tick_.async_wait([this](std::error_code ec) {
    if (ec || !running_) {
      return;
    }
    draw();
    wait_for_tick();
  });
}

void runner::draw() {
  const auto now = std::chrono::steady_clock::now();
  const std::uint64_t total = shown_.counters->bytes_total.load(std::memory_order_relaxed);
  const std::uint64_t done = shown_.reads ? shown_.counters->bytes_read.load(std::memory_order_relaxed)
                                          : shown_.counters->bytes_accepted.load(std::memory_order_relaxed);
  const double since = std::chrono::duration<double>(now - drawn_).count();
  const double average = static_cast<double>(done) / std::max(std::chrono::duration<double>(now - started_).count(), 0.001);
  const double current = static_cast<double>(done - std::min(done, drawn_bytes_)) / std::max(since, 0.001);
  rate_ = rate_ == 0 ? average : 0.8 * rate_ + 0.2 * current;
  drawn_ = now;
  drawn_bytes_ = done;

  std::string line = shown_.label;
  if (total > 0) {
    const double part = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
    const auto filled = static_cast<std::size_t>(part * static_cast<double>(bar_columns));
    line += fmt::format("  [{:.<{}}] {:3.0f}%", std::string(filled, '#'), bar_columns, part * 100);
  }
  line += fmt::format("  {}", show_bytes(done));
  if (total > 0) {
    line += fmt::format(" of {}", show_bytes(std::max(total, done)));
  }
  line += fmt::format("  {}/s", show_bytes(static_cast<std::uint64_t>(rate_)));
  if (signal_ != 0) {
    line += "  stopping";
  } else if (total > done && average > 0) {
    // The average forecasts better than the moment: writers and caches come in waves.
    line += fmt::format("  {} left", show_seconds(static_cast<double>(total - done) / average));
  }
  out_.status(line);
}

}  // namespace contrail::cli
