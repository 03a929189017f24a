#include <contrail/engines/pagestore/inspect.hpp>

#include "engines/pagestore/format/checkpoint.hpp"
#include "engines/pagestore/format/database_header.hpp"
#include "engines/pagestore/log/log_directory.hpp"
#include "engines/pagestore/twin_file.hpp"

#include <contrail/io/file_names.hpp>
#include "async/file_calls.hpp"

#include <algorithm>
#include <utility>

namespace contrail::pagestore {

namespace {

constexpr const char* operation = "look at the store";

class twins_checker {
 public:
  twins_checker(io::file_system fs, std::function<void(const found_damage&)> damaged) : fs_(std::move(fs)), damaged_(std::move(damaged)) {}
  asio::awaitable<void> run(const store_facts& of);

 private:
  asio::awaitable<std::optional<twin_copies>> read(std::filesystem::path path, std::size_t bytes);
  asio::awaitable<void> look_at_checkpoint(std::filesystem::path path);
  asio::awaitable<void> look_at_header(std::filesystem::path path, std::uint32_t page_size);
  void judge(const std::filesystem::path& path, const char* what, bool first, bool second, std::size_t apart);
  void tell(const std::filesystem::path& path, std::uint64_t offset, std::string what);

  io::file_system fs_;
  std::function<void(const found_damage&)> damaged_;
  bool at_rest_ = false;
};

void twins_checker::tell(const std::filesystem::path& path, std::uint64_t offset, std::string what) {
  found_damage d;
  d.file = io::to_text(path);
  d.offset = offset;
  d.what = std::move(what);
  damaged_(d);
}

asio::awaitable<std::optional<twin_copies>> twins_checker::read(std::filesystem::path path, std::size_t bytes) {
  const io::open_options options;
  calls::opened opened = co_await calls::open(fs_, path, options);
  if (calls::is_missing(opened.ec)) co_return std::nullopt;
  calls::check(opened.ec, operation, path);
  twin_place place;
  place.second = bytes;
  place.bytes = bytes;
  const std::string name = io::to_text(path);
  twin_copies out = co_await read_twins(opened.file, place, operation, name);
  co_return std::optional<twin_copies>(std::move(out));
}

void twins_checker::judge(const std::filesystem::path& path, const char* what, bool first, bool second, std::size_t apart) {
  const std::string name(what);
  if (!first && !second) return tell(path, 0, "both copies of the " + name + " are damaged");
  if (!at_rest_) return;
  if (!first) tell(path, 0, "the first copy of the " + name + " is damaged, the second one is good");
  if (!second) tell(path, apart, "the second copy of the " + name + " is damaged, the first one is good");
}

asio::awaitable<void> twins_checker::look_at_checkpoint(std::filesystem::path path) {
  const std::optional<twin_copies> there = co_await read(path, checkpoint_bytes);
  if (!there) {
    if (at_rest_) tell(path, 0, "the checkpoint is missing");
    co_return;
  }
  const bool first = there->first.size() == checkpoint_bytes && decode_checkpoint(there->first);
  const bool second = there->second.size() == checkpoint_bytes && decode_checkpoint(there->second);
  judge(path, "checkpoint", first, second, checkpoint_bytes);
}

asio::awaitable<void> twins_checker::look_at_header(std::filesystem::path path, std::uint32_t page_size) {
  const std::optional<twin_copies> there = co_await read(path, page_size);
  if (!there) co_return;   // it has gone since the store was looked at
  const auto good = [page_size](const std::vector<std::byte>& copy) {
    const std::optional<database_header> header = copy.size() == page_size ? decode_header(copy) : std::nullopt;
    return header && header->page_size == page_size;
  };
  judge(path, "header", good(there->first), good(there->second), page_size);
}

asio::awaitable<void> twins_checker::run(const store_facts& of) {
  const auto clean = [](const database_facts& one) { return one.problem.empty() && one.state == "clean"; };
  at_rest_ = !of.databases.empty() && std::all_of(of.databases.begin(), of.databases.end(), clean);
  if (of.first_generation != 0) {
    const std::filesystem::path path = checkpoint_path(of.how);
    co_await look_at_checkpoint(path);
  }
  for (const database_facts& one : of.databases) {
    const std::filesystem::path path = of.how.directory / one.path;
    if (one.problem.empty()) co_await look_at_header(path, one.page_size);
  }
}

}  // namespace

asio::awaitable<void> check_twins(io::file_system files, store_facts of, std::function<void(const found_damage&)> damaged) {
  twins_checker work(std::move(files), std::move(damaged));
  co_await work.run(of);
}

}  // namespace contrail::pagestore
