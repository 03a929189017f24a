#include "engines/pagestore/log/log_directory.hpp"

#include "engines/pagestore/format/log_names.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>
#include "async/file_calls.hpp"

#include <algorithm>
#include <string>

namespace contrail::pagestore {

namespace {

const std::filesystem::path& log_directory(const parameters& how) { return how.log_directory.empty() ? how.directory : how.log_directory; }
const std::filesystem::path& checkpoint_directory(const parameters& how) {
  return how.checkpoint_directory.empty() ? how.directory : how.checkpoint_directory;
}

}  // namespace

asio::awaitable<log_listing> list_logs(io::file_system fs, const parameters& how) {
  log_listing out;
  const calls::listing files = co_await calls::list(fs, log_directory(how));
  if (files.ec && !calls::is_missing(files.ec)) fail(files.ec, "list logs", io::to_text(log_directory(how)));
  for (const io::entry& e : files.entries) {
    const std::string name = io::to_text(e.name);
    const std::optional<std::uint32_t> generation = generation_of(how.base_name, name);
    if (generation) out.numbered.push_back(*generation);
    else if (name == current_log_name(how.base_name)) out.current = true;
    else if (name == prepared_log_name(how.base_name)) out.prepared = true;
  }
  std::sort(out.numbered.begin(), out.numbered.end());
  const std::filesystem::path checkpoint = checkpoint_path(how);
  const calls::found there = co_await calls::stat(fs, checkpoint);
  if (there.ec && !calls::is_missing(there.ec)) fail(there.ec, "look for the checkpoint", io::to_text(checkpoint));
  out.checkpoint = !there.ec;
  co_return out;
}

log_run find_run(const log_listing& there, std::optional<std::uint32_t> current, const parameters& how) {
  log_run out;
  std::vector<std::uint32_t> all = there.numbered;
  if (current) {
    if (!all.empty() && *current <= all.back()) {
      const bool twice = std::binary_search(all.begin(), all.end(), *current);
      fail(errc::invalid_log_sequence, "list logs", io::to_text(current_log_path(how)), {},
           "a generation above " + std::to_string(all.back()) + ", the highest that has a number",
           "generation " + std::to_string(*current) + (twice ? ", as " + log_name(how.base_name, *current) : std::string()));
    }
    all.push_back(*current);
    out.current = true;
  }
  const auto again = std::adjacent_find(all.begin(), all.end());
  if (again != all.end()) {
    fail(errc::invalid_log_sequence, "list logs", io::to_text(log_directory(how)), {}, "one file a generation",
         "two of generation " + std::to_string(*again));
  }
  std::size_t first = all.size() - 1;
  while (first > 0 && all[first - 1] + 1 == all[first]) --first;
  out.lowest = all[first];
  out.highest = all.back();
  out.garbage.assign(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(first));
  return out;
}

std::filesystem::path log_path(const parameters& how, const log_run& run, std::uint32_t generation) {
  return run.current && generation == run.highest ? current_log_path(how) : numbered_log_path(how, generation);
}
std::filesystem::path numbered_log_path(const parameters& how, std::uint32_t generation) {
  return log_directory(how) / log_name(how.base_name, generation);
}
std::filesystem::path current_log_path(const parameters& how) { return log_directory(how) / current_log_name(how.base_name); }
std::filesystem::path prepared_log_path(const parameters& how) { return how.log_directory / prepared_log_name(how.base_name); }

std::filesystem::path checkpoint_path(const parameters& how) { return checkpoint_directory(how) / checkpoint_name(how.base_name); }

}  // namespace contrail::pagestore
