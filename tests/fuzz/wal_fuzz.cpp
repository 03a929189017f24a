#include "engines/sqlite/engine_state.hpp"
#include "engines/sqlite/wal_format.hpp"

#include <contrail/error.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

// The first byte chooses the length of the pieces; the rest is a log, a database's header, and a set's state.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::size_t piece = std::size_t{data[0]} * 3 + 1;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto ignore = [](std::uint32_t, std::uint32_t, std::uint32_t) {};
  contrail::sqlite::wal_walker whole;
  whole.feed(asio::buffer(text.data(), text.size()), ignore);
  contrail::sqlite::wal_walker cut;
  for (std::size_t at = 0; at < text.size(); at += piece) {
    cut.feed(asio::buffer(text.data() + at, std::min(piece, text.size() - at)), ignore);
  }
  if (whole.committed_bytes() != cut.committed_bytes() || whole.committed_bytes() > text.size() ||
      whole.committed_sums() != cut.committed_sums()) {
    std::abort();
  }
  (void)contrail::sqlite::parse_database_header(text);
  try {
    (void)contrail::sqlite::engine_state::read(text);
  } catch (const contrail::error&) {
  }
  return 0;
}
