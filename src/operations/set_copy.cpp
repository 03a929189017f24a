#include "operations/set_copy.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>
#include "async/file_calls.hpp"
#include "async/write_behind.hpp"
#include "format/storable_names.hpp"

#include <asio/this_coro.hpp>

#include <algorithm>
#include <exception>
#include <optional>
#include <utility>

namespace contrail::operations {

namespace {

constexpr std::uint64_t worth_allocating = std::uint64_t{1} << 20;
constexpr std::size_t least_memory = std::size_t{1} << 20;   // the reader of a set gets three quarters

// One file, to its proven end.
asio::awaitable<void> copy_file(io::file_system fs, set_reader& from, const manifest_file& file, const std::filesystem::path& path,
                                io::caching cache, struct progress* counters, const std::string& operation) {
  io::open_options options;
  options.mode = io::access::write;
  options.cache = cache;
  options.create = true;
  options.exclusive = true;
  calls::opened opened = co_await calls::open(fs, path, options);
  calls::check(opened.ec, operation, path);
  write_behind out(std::move(opened.file), operation, path.string());
  if (file.bytes >= worth_allocating) {
    const std::error_code ec = co_await calls::allocate(out.file(), file.bytes);
    if (calls::is_full(ec)) fail(ec, operation, path.string(), 0, "room for " + std::to_string(file.bytes) + " bytes");
  }
  std::exception_ptr failure;
  try {
    while (true) {
      std::optional<set_reader::chunk> chunk = co_await from.next();
      if (!chunk.has_value()) break;
      const std::size_t bytes = chunk->bytes;
      out.write(chunk->offset, std::move(chunk->data), bytes);
      if (counters == nullptr) continue;
      counters->bytes_read.fetch_add(bytes, std::memory_order_relaxed);
      counters->bytes_accepted.fetch_add(bytes, std::memory_order_relaxed);
    }
    co_await out.drain();
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    // The directory is about to be removed; nothing may be on its way into it then.
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    co_await out.settle();
    out.file().close();
    std::rethrow_exception(failure);
  }
  const std::pair<std::error_code, std::uint64_t> length = co_await calls::size(out.file());
  calls::check(length.first, operation, path);
  if (length.second != file.bytes) {
    fail(errc::disk_io, operation, path.string(), {}, std::to_string(file.bytes) + " bytes", std::to_string(length.second));
  }
  out.file().close();
}

std::size_t room_of(const std::string& name, const std::string& owner) noexcept { return sizeof(copied_file) + name.size() + owner.size(); }

// In one set a list of files has each name once; the list is gone through only where there is something already.
asio::awaitable<void> require_new(io::file_system fs, const std::filesystem::path& path, const std::string& name, const std::string& set,
                                  const std::vector<copied_file>& copied, const std::string& operation) {
  const calls::found there = co_await calls::stat(fs, path);
  if (there.ec) co_return;   // what is wrong with it is told when it is made
  const bool twice = std::any_of(copied.begin(), copied.end(), [&name](const copied_file& c) { return c.file.name == name; });
  if (twice) fail(errc::set_damaged, operation, name, {}, "a name that is in one set of the chain alone", "the same in set " + set);
}

}  // namespace

asio::awaitable<std::optional<manifest_file>> next_file_of(set_reader& from) {
  while (true) {
    try {
      std::optional<manifest_file> file = co_await from.next_file();
      co_return file;
    } catch (const error& problem) {
      if (problem.code() != errc::foreign_file) throw;
    }
  }
}

asio::awaitable<void> copy_set(io::file_system fs, set_reader& from, std::filesystem::path directory, std::size_t table, io::caching cache,
                               struct progress* counters, std::string operation, std::vector<copied_file>& copied) {
  const bool others = !copied.empty();
  std::size_t used = 0;
  for (const copied_file& c : copied) used += room_of(c.file.name, c.owner);
  const storable_names names(storable_names::rules_of(fs), 0);
  if (counters != nullptr) counters->bytes_total.fetch_add(from.info()->bytes, std::memory_order_relaxed);
  while (true) {
    const std::optional<manifest_file> file = co_await next_file_of(from);
    if (!file.has_value()) break;
    const std::string& name = file->file.name;
    if (!is_safe_name(name)) fail(errc::unsafe_path, operation, name);
    names.require_storable(name, operation);
    used += room_of(name, file->file.owner);
    if (used > table) {
      fail(errc::out_of_memory, operation, name, {}, "a list of files that fits into the memory allowed",
           std::to_string(from.info()->files) + " files; allow more memory");
    }
    co_await calls::make_parents(fs, directory, name, operation, nullptr);
    const std::filesystem::path path = directory / io::to_path(name);
    if (others) co_await require_new(fs, path, name, from.info()->set, copied, operation);
    co_await copy_file(fs, from, *file, path, cache, counters, operation);
    copied_file c;
    c.file.name = name;
    c.file.role = file->file.role;
    c.file.bytes = file->bytes;
    c.file.valid = file->valid;
    c.mode = file->file.mode;
    c.owner = file->file.owner;
    copied.push_back(std::move(c));
  }
}

recovery make_recovery(const std::filesystem::path& directory, set_chain chain, const std::vector<copied_file>& files, bool prove, std::size_t memory) {
  recovery work;
  work.directory = directory;
  work.chain = std::move(chain);
  for (const copied_file& f : files) work.files.push_back(f.file);
  work.prove = prove;
  work.memory = memory / 2;
  return work;
}

void require_memory(std::size_t memory, const std::string& operation) {
  if (memory >= least_memory) return;
  fail(errc::invalid_parameter, operation, {}, {}, "at least " + std::to_string(least_memory) + " bytes of memory (1M)", std::to_string(memory));
}

}  // namespace contrail::operations
