#include "sinks/directory/layout.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>
#include "async/file_calls.hpp"
#include "async/read_ahead.hpp"
#include "async/write_behind.hpp"
#include "format/storable_names.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

namespace contrail::directory {

namespace {

std::string_view words(io::entry_type type) noexcept {
  switch (type) {
    case io::entry_type::file: return "a file";
    case io::entry_type::directory: return "a directory";
    case io::entry_type::link: return "a link; links in a set are not followed";
    case io::entry_type::other: break;
  }
  return "neither file nor directory";
}

// The file behind a name of a set. The identity found by name is compared with that of the opened file, so that a link put there in
// between is not followed unnoticed. `bytes`: what its length must be; empty: any.
asio::awaitable<io::random_access_file> open_checked(io::file_system fs, const std::filesystem::path& path, std::string name,
                                                     std::string operation, std::optional<std::uint64_t> bytes, io::caching cache) {
  const calls::found there = co_await calls::stat(fs, path);
  if (calls::is_missing(there.ec) || there.ec == std::errc::not_a_directory) {
    fail(errc::set_incomplete, operation, name, {}, "a file", "nothing");
  }
  if (there.ec == std::errc::invalid_argument) storable_names(storable_names::rules_of(fs), 0).require_storable(name, operation);
  if (there.ec) fail(there.ec, operation, io::to_text(path));
  if (there.entry.type != io::entry_type::file) {
    fail(errc::set_damaged, operation, name, {}, "a file", std::string(words(there.entry.type)));
  }
  io::open_options options;
  options.mode = io::access::read;
  options.cache = cache;
  calls::opened file = co_await calls::open(fs, path, options);
  if (file.ec) fail(file.ec, operation, io::to_text(path));
  const io::file_facts facts = file.file.facts();
  if (facts.device != there.entry.facts.device || facts.inode != there.entry.facts.inode) {
    fail(errc::set_damaged, operation, name, {}, "the same file as a moment before", "another one");
  }
  if (bytes.has_value() && facts.bytes != *bytes) {
    const std::uint64_t at = std::min(facts.bytes, *bytes);
    fail(errc::set_damaged, operation, name, at, std::to_string(*bytes) + " bytes", std::to_string(facts.bytes) + " bytes");
  }
  co_return std::move(file.file);
}

}  // namespace

std::filesystem::path partial_path(const std::filesystem::path& repository, const std::string& set) {
  return repository / (std::string(partial_prefix) + set);
}

std::filesystem::path partial_lock_path(const std::filesystem::path& repository, const std::string& set) {
  return repository / (std::string(partial_prefix) + set + std::string(lock_suffix));
}

std::string stored_name(const file_info& file) {
  std::string name = file.name;
  const bool marked = name == manifest_name || name == list_name || name.ends_with(stored_suffix);
  if (marked) name += stored_suffix;
  return name;
}

asio::awaitable<content> scan(io::file_system fs, const std::filesystem::path& repository, std::string_view operation) {
  calls::listing all = co_await calls::list(fs, repository);
  if (calls::is_missing(all.ec)) {
    fail(errc::set_not_found, std::string(operation), repository.string(), {}, "a repository", "no such directory");
  }
  if (all.ec == std::errc::not_a_directory) {
    fail(errc::not_a_repository, std::string(operation), repository.string(), {}, "a directory", "something else");
  }
  calls::check(all.ec, operation, repository);
  content out;
  for (const io::entry& e : all.entries) {
    std::string name = io::to_text(e.name);
    if (is_set_id(name)) {
      out.sets.push_back(std::move(name));
      continue;
    }
    if (name.compare(0, partial_prefix.size(), partial_prefix) != 0) continue;
    name.erase(0, partial_prefix.size());
    const bool is_lock = name.size() > lock_suffix.size() &&
                         name.compare(name.size() - lock_suffix.size(), lock_suffix.size(), lock_suffix) == 0;
    if (is_lock) name.resize(name.size() - lock_suffix.size());
    if (!is_set_id(name)) continue;
    if (is_lock && e.type == io::entry_type::file) out.locks.push_back(std::move(name));
    if (!is_lock && e.type == io::entry_type::directory) out.partials.push_back(std::move(name));
  }
  co_return out;
}

asio::awaitable<std::string> read_text(io::file_system fs, io::buffer_pool& pool, const std::filesystem::path& path, std::string name,
                                       std::string operation, std::size_t most) {
  io::random_access_file file = co_await open_checked(fs, path, name, operation, std::nullopt, io::caching::cached);
  const std::uint64_t bytes = file.facts().bytes;
  if (bytes > most) {
    fail(errc::set_damaged, operation, name, most, "at most " + std::to_string(most) + " bytes", std::to_string(bytes));
  }
  std::string text;
  read_ahead input(std::move(file), bytes, pool, 1);
  while (true) {
    read_ahead::piece piece = co_await input.next();
    if (piece.end) break;
    if (piece.ec) fail(piece.ec, operation, path.string(), piece.offset);
    text.append(static_cast<const char*>(piece.data.buffer().data()), piece.bytes);
    if (piece.bytes == 0) break;
  }
  if (text.size() != bytes) {
    fail(errc::set_damaged, operation, name, text.size(), std::to_string(bytes) + " bytes", "a file that ends there");
  }
  co_return text;
}

asio::awaitable<void> write_text(io::file_system fs, io::buffer_pool& pool, const std::filesystem::path& path, const std::string& text,
                                 std::string operation) {
  io::open_options options;
  options.mode = io::access::write;
  options.create = true;
  options.exclusive = true;
  calls::opened file = co_await calls::open(fs, path, options);
  calls::check(file.ec, operation, path);
  write_behind out(std::move(file.file), operation, path.string());
  for (std::size_t at = 0; at < text.size();) {
    io::lease data = co_await calls::acquire(pool);
    const std::size_t n = std::min(text.size() - at, data.buffer().size());
    std::memcpy(data.buffer().data(), text.data() + at, n);
    out.write(at, std::move(data), n);
    at += n;
  }
  co_await out.drain();
  const std::error_code ec = co_await calls::sync(out.file());
  calls::check(ec, operation, path);
  out.file().close();
}

asio::awaitable<io::random_access_file> open_stored(io::file_system fs, const std::filesystem::path& path, std::string name,
                                                    std::string operation, std::uint64_t bytes) {
  const std::optional<std::uint64_t> length(bytes);
  io::random_access_file file = co_await open_checked(fs, path, std::move(name), std::move(operation), length, io::caching::direct);
  co_return file;
}

asio::awaitable<io::random_access_file> open_listed(io::file_system fs, const std::filesystem::path& path, std::string name,
                                                    std::string operation) {
  const std::optional<std::uint64_t> any;
  io::random_access_file file = co_await open_checked(fs, path, std::move(name), std::move(operation), any, io::caching::cached);
  co_return file;
}

asio::awaitable<manifest> read_manifest(io::file_system fs, io::buffer_pool& pool, const std::filesystem::path& repository,
                                        const std::string& set, std::string operation) {
  const std::filesystem::path directory = repository / set;
  const calls::found there = co_await calls::stat(fs, directory);
  if (calls::is_missing(there.ec)) fail(errc::set_not_found, operation, directory.string());
  calls::check(there.ec, operation, directory);
  if (there.entry.type != io::entry_type::directory) {
    fail(errc::set_damaged, operation, {}, {}, "a directory with the name of the set", std::string(words(there.entry.type)));
  }
  const std::filesystem::path path = directory / manifest_name;
  const std::string text = co_await read_text(fs, pool, path, std::string(manifest_name), operation, most_manifest_bytes);
  manifest m = manifest::read(text, manifest_name);
  if (m.set != set) fail(errc::set_damaged, operation, std::string(manifest_name), {}, "the manifest of set " + set, "that of " + m.set);
  co_return m;
}

}  // namespace contrail::directory
