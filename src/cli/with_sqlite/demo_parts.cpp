#include "cli/with_sqlite/demo_parts.hpp"

#include "cli/quantities.hpp"

#include <contrail/error.hpp>

#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <system_error>

namespace contrail::cli {

namespace {

namespace fs = std::filesystem;
using clock = std::chrono::steady_clock;

constexpr std::size_t piece_bytes = std::size_t{64} << 10;

std::string row(std::string_view label, std::string_view first, std::string_view second) {
  return fmt::format("   {:<26}{:>18}{:>18}\n", label, first, second);
}

std::string milliseconds(std::chrono::microseconds us) {
  return fmt::format("{:.1f} ms", static_cast<double>(us.count()) / 1000);
}

std::string books(const demo_copy& copy) {
  return copy.problem.empty() ? "right" : copy.found.sound ? "WRONG" : "BROKEN";
}

}  // namespace

asio::awaitable<std::uint64_t> copy_plainly(fs::path database, fs::path to, std::uint64_t bytes_per_second, progress& counters) {
  auto ex = co_await asio::this_coro::executor;
  asio::steady_timer timer(ex);
  std::vector<char> piece(piece_bytes);
  std::uint64_t moved = 0;
  auto due = clock::now();
  counters.bytes_total = fs::file_size(database);
  for (const char* const suffix : {"", "-wal"}) {
    fs::path from = database;
    from += suffix;
    fs::path into = to;
    into += suffix;
    std::uint64_t left = fs::file_size(from);
    counters.bytes_total = moved + left;
    std::ifstream in(from, std::ios::binary);
    std::ofstream out(into, std::ios::binary);
    while (left > 0) {
      in.read(piece.data(), static_cast<std::streamsize>(std::min<std::uint64_t>(left, piece.size())));
      const auto got = static_cast<std::uint64_t>(in.gcount());
      if (got == 0) {
        break;   // shorter by now
      }
      out.write(piece.data(), in.gcount());
      left -= got;
      moved += got;
      counters.bytes_accepted = moved;
      due += std::chrono::microseconds(got * 1000000 / bytes_per_second);
      timer.expires_at(due);
      co_await timer.async_wait(asio::use_awaitable);
    }
    if (!out.flush()) {
      fail(make_error_code(std::errc::io_error), "copy a file for the demo", into.string());
    }
  }
  co_return moved;
}

std::string judge(const bank::findings& found, const std::vector<std::uint64_t>& before, const std::vector<std::uint64_t>& after) {
  if (!found.sound) {
    return found.problem;
  }
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (found.last[i] < before[i]) {
      return fmt::format("writer {} had {} transactions acknowledged before the copy began, {} are there", i, before[i], found.last[i]);
    }
    // One may have been committed whose acknowledgement was still under way.
    if (found.last[i] > after[i] + 1) {
      return fmt::format("writer {} had {} transactions at the end of the copy, {} are there", i, after[i], found.last[i]);
    }
  }
  return {};
}

std::string show_paces(const bank::pace& before, const bank::pace& during) {
  std::string out = row("the tellers", "before", "during the backup");
  out += row("transactions a second", fmt::format("{:.1f}", before.per_second()), fmt::format("{:.1f}", during.per_second()));
  out += row("slowest transaction", milliseconds(before.worst), milliseconds(during.worst));
  return out;
}

std::string show_copies(const demo_copy& backup, const demo_copy& plain) {
  std::string out = row("", "contrail", "plain copy");
  out += row("copied", show_bytes(backup.bytes), show_bytes(plain.bytes));
  out += row("in", show_seconds(backup.seconds), show_seconds(plain.seconds));
  out += row("transactions found in it", backup.found.sound ? std::to_string(backup.found.transactions) : "-",
             plain.found.sound ? std::to_string(plain.found.transactions) : "-");
  out += row("the bank's books", books(backup), books(plain));
  return out;
}

}  // namespace contrail::cli
