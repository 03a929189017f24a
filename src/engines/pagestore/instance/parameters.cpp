#include <contrail/engines/pagestore/parameters.hpp>

#include "engines/pagestore/format/log_names.hpp"
#include "engines/pagestore/format/page.hpp"

#include <contrail/error.hpp>

#include <algorithm>
#include <string>
#include <string_view>

namespace contrail::pagestore {

namespace {

[[noreturn]] void refuse(std::string_view name, const std::string& expected, const std::string& found) {
  fail(errc::invalid_parameter, "open instance", {}, {}, std::string(name) + " of " + expected, found);
}

void require_within(std::string_view name, std::string_view unit, std::uint64_t value, std::uint64_t least, std::uint64_t most) {
  if (value >= least && value <= most) return;
  refuse(name, std::to_string(least) + " to " + std::to_string(most) + " " + std::string(unit), std::to_string(value));
}

}  // namespace

parameters checked(parameters p) {
  if (p.directory.empty()) refuse("directory", "a path", "none");
  if (p.log_directory.empty()) p.log_directory = p.directory;
  if (p.checkpoint_directory.empty()) p.checkpoint_directory = p.directory;
  if (!is_base_name(p.base_name)) refuse("base_name", "three characters of a to z and 0 to 9", "\"" + p.base_name + "\"");
  if (!is_page_size(p.page_size)) refuse("page_size", "4096, 8192, 16384 or 32768 bytes", std::to_string(p.page_size));
  constexpr std::uint32_t log_step = 64U << 10U;
  constexpr std::uint32_t most_log = 1U << 30U;
  require_within("log_file_size", "bytes", p.log_file_size, std::max(2 * log_step, 16 * p.page_size), most_log);
  if (p.log_file_size % log_step != 0) refuse("log_file_size", "a multiple of 65536 bytes", std::to_string(p.log_file_size));
  if (p.log_write_unit != 0 && p.log_write_unit != 512 && p.log_write_unit != 4096) {
    refuse("log_write_unit", "512 or 4096 bytes, or 0", std::to_string(p.log_write_unit));
  }
  p.log_buffer = std::min(p.log_buffer, p.log_file_size / 2);
  require_within("log_buffer", "bytes", p.log_buffer, log_step, p.log_file_size / 2);
  if (p.cache_size == 0) p.cache_size = (std::uint64_t{64} << 20U) / p.page_size;
  require_within("cache_size", "pages", p.cache_size, 64, std::uint64_t{1} << 31U);
  p.checkpoint_depth = std::max<std::uint64_t>(p.checkpoint_depth, p.log_file_size);
  require_within("checkpoint_depth", "bytes", p.checkpoint_depth, p.log_file_size, std::uint64_t{64} << 30U);
  require_within("lazy_delay", "ms", static_cast<std::uint64_t>(p.lazy_delay.count()), 1, 10000);
  require_within("group_delay", "us", static_cast<std::uint64_t>(p.group_delay.count()), 0, 10000);
  require_within("writes_in_flight", "pages", p.writes_in_flight, 1, 256);
  if (p.growth == 0) p.growth = std::max<std::uint32_t>((1U << 20U) / p.page_size, 16);
  require_within("growth", "pages", p.growth, 16, 65536);
  require_within("first_generation", "", p.first_generation, 1, last_generation);
  return p;
}

}  // namespace contrail::pagestore
