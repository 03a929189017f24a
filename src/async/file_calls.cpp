#include "async/file_calls.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>

#include <asio/error.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <asio/use_awaitable.hpp>

#include <tuple>

namespace contrail::calls {

namespace {

/// The name is taken by what is called otherwise, of which the I/O layer has a code of its own (short names on Windows).
bool is_another(std::error_code ec) noexcept {
  return is_taken(ec) && ec.category() != std::generic_category() && ec.category() != std::system_category();
}

const auto& token() {
  static const auto value = asio::experimental::as_tuple(asio::use_awaitable);
  return value;
}

}  // namespace

asio::awaitable<opened> open(io::file_system fs, const std::filesystem::path& path, io::open_options options) {
  opened out;
  auto result = co_await fs.async_open(path, options, token());
  out.ec = std::get<0>(result);
  out.file = std::move(std::get<1>(result));
  co_return out;
}

asio::awaitable<std::error_code> rename(io::file_system fs, const std::filesystem::path& from, const std::filesystem::path& to) {
  const auto result = co_await fs.async_rename(from, to, token());
  co_return std::get<0>(result);
}

asio::awaitable<std::error_code> rename_new(io::file_system fs, const std::filesystem::path& from, const std::filesystem::path& to) {
  const auto result = co_await fs.async_rename_new(from, to, token());
  co_return std::get<0>(result);
}

asio::awaitable<std::error_code> remove(io::file_system fs, const std::filesystem::path& path) {
  const auto result = co_await fs.async_remove(path, token());
  co_return std::get<0>(result);
}

asio::awaitable<std::error_code> remove_all(io::file_system fs, const std::filesystem::path& path) {
  const auto result = co_await fs.async_remove_all(path, token());
  co_return std::get<0>(result);
}

asio::awaitable<std::error_code> make_directory(io::file_system fs, const std::filesystem::path& path) {
  const auto result = co_await fs.async_make_directory(path, token());
  co_return std::get<0>(result);
}

asio::awaitable<std::error_code> sync_directory(io::file_system fs, const std::filesystem::path& path) {
  const auto result = co_await fs.async_sync_directory(path, token());
  co_return std::get<0>(result);
}

asio::awaitable<std::error_code> set_attributes(io::file_system fs, const std::filesystem::path& path, io::attributes value) {
  const auto result = co_await fs.async_set_attributes(path, value, token());
  co_return std::get<0>(result);
}

asio::awaitable<listing> list(io::file_system fs, const std::filesystem::path& path) {
  listing out;
  auto result = co_await fs.async_list(path, token());
  out.ec = std::get<0>(result);
  out.entries = std::move(std::get<1>(result));
  co_return out;
}

asio::awaitable<found> stat(io::file_system fs, const std::filesystem::path& path) {
  found out;
  auto result = co_await fs.async_stat(path, token());
  out.ec = std::get<0>(result);
  out.entry = std::move(std::get<1>(result));
  co_return out;
}

asio::awaitable<locked> lock(io::file_system fs, const std::filesystem::path& path) {
  locked out;
  auto result = co_await fs.async_lock(path, token());
  out.ec = std::get<0>(result);
  out.lock = std::move(std::get<1>(result));
  co_return out;
}

asio::awaitable<std::error_code> sync(io::random_access_file& file) {
  const auto result = co_await file.async_sync(token());
  co_return std::get<0>(result);
}

asio::awaitable<std::error_code> resize(io::random_access_file& file, std::uint64_t bytes) {
  const auto result = co_await file.async_resize(bytes, token());
  co_return std::get<0>(result);
}

asio::awaitable<std::error_code> allocate(io::random_access_file& file, std::uint64_t bytes) {
  const auto result = co_await file.async_allocate(bytes, token());
  co_return std::get<0>(result);
}

asio::awaitable<std::pair<std::error_code, std::uint64_t>> size(io::random_access_file& file) {
  const auto result = co_await file.async_size(token());
  const std::pair<std::error_code, std::uint64_t> out(std::get<0>(result), std::get<1>(result));
  co_return out;
}

asio::awaitable<io::lease> acquire(io::buffer_pool& pool) {
  auto result = co_await pool.async_acquire(token());
  check(std::get<0>(result), "wait for a buffer", {});
  co_return std::move(std::get<1>(result));
}

void check(std::error_code ec, std::string_view operation, const std::filesystem::path& file) {
  if (ec) fail(ec, std::string(operation), file.string());
}

bool is_missing(std::error_code ec) noexcept { return ec == std::errc::no_such_file_or_directory; }
bool is_taken(std::error_code ec) noexcept { return ec == std::errc::file_exists; }
bool is_held(std::error_code ec) noexcept { return ec == std::errc::resource_unavailable_try_again; }
bool is_cancelled(std::error_code ec) noexcept { return ec == asio::error::operation_aborted || ec == std::errc::operation_canceled; }
bool is_full(std::error_code ec) noexcept {
  return ec == std::errc::no_space_on_device || ec == std::errc::file_too_large;
}

std::filesystem::path directory_of(const std::filesystem::path& path) {
  std::filesystem::path parent = path.parent_path();
  return parent.empty() ? std::filesystem::path(".") : parent;
}

asio::awaitable<void> make_parents(io::file_system fs, const std::filesystem::path& base, std::string_view name,
                                   std::string_view operation, std::vector<std::filesystem::path>* made) {
  for (std::size_t slash = name.find('/'); slash != std::string_view::npos; slash = name.find('/', slash + 1)) {
    const std::filesystem::path directory = base / io::to_path(name.substr(0, slash));
    const std::error_code ec = co_await make_directory(fs, directory);
    if (!ec) {
      if (made != nullptr) made->push_back(directory);
      continue;
    }
    if (!is_taken(ec) || is_another(ec)) check(ec, operation, directory);
    const found there = co_await stat(fs, directory);
    check(there.ec, operation, directory);
    if (there.entry.type != io::entry_type::directory) {
      fail(errc::unsafe_path, std::string(operation), directory.string(), {}, "a directory", "a file or a link");
    }
  }
}

asio::awaitable<void> sync_tree(io::file_system fs, const std::filesystem::path& top, std::string_view operation) {
  std::vector<std::filesystem::path> todo(1, top);
  while (!todo.empty()) {
    const std::filesystem::path directory = std::move(todo.back());
    todo.pop_back();
    const listing content = co_await list(fs, directory);
    check(content.ec, operation, directory);
    for (const io::entry& e : content.entries) {
      if (e.type == io::entry_type::directory) todo.push_back(directory / e.name);
    }
    const std::error_code ec = co_await sync_directory(fs, directory);
    check(ec, operation, directory);
  }
}

void rethrow_as_error(std::exception_ptr failure, std::string_view operation, const std::filesystem::path& file) {
  try {
    std::rethrow_exception(std::move(failure));
  } catch (const error&) {
    throw;
  } catch (const std::system_error& e) {
    fail(e.code(), std::string(operation), file.string());
  }
}

}  // namespace contrail::calls
