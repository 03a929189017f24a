#include "engines/pagestore/database_file.hpp"

#include "engines/pagestore/format/bitmap.hpp"
#include "engines/pagestore/twin_file.hpp"
#include "engines/pagestore/whole_transfers.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>
#include "async/file_calls.hpp"

#include <asio/cancellation_state.hpp>
#include <asio/error.hpp>
#include <asio/this_coro.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

namespace contrail::pagestore {

namespace {

constexpr std::array<std::uint32_t, 4> page_sizes{4096, 8192, 16384, 32768};

/// A header that stands in the file's first bytes, and where.
struct found_header {
  found_header() = default;
  std::optional<database_header> in_force;
  bool second = false;
  bool both = false;
};

found_header find_header(const_byte_span front) {
  found_header out;
  const auto copy_at = [front](std::size_t at) { return at < front.size() ? decode_header(front.subspan(at)) : std::nullopt; };
  out.in_force = copy_at(0);
  for (const std::uint32_t size : page_sizes) {
    if (out.in_force && !out.second && out.in_force->page_size != size) continue;   // the first copy tells where the second must be
    std::optional<database_header> second = copy_at(size);
    if (!second || second->page_size != size) continue;
    out.both = out.in_force && *out.in_force == *second;
    if (!out.in_force || second->update > out.in_force->update) {
      out.in_force = std::move(second);
      out.second = true;
    }
    break;
  }
  return out;
}

twin_place header_place(std::uint32_t page_size) {
  twin_place place;
  place.second = page_size;
  place.bytes = page_size;
  return place;
}

}  // namespace

asio::awaitable<database_file> database_file::open(io::file_system fs, std::filesystem::path path, std::uint32_t page_size) {
  constexpr std::string_view operation = "open database";
  database_file out;
  out.path_ = std::move(path);
  out.name_ = io::to_text(out.path_);
  io::open_options options;
  options.mode = io::access::read_write;
  calls::opened opened = co_await calls::open(fs, out.path_, options);
  if (calls::is_missing(opened.ec)) fail(errc::file_not_found, std::string(operation), out.name_);
  if (opened.ec) fail(opened.ec, std::string(operation), out.name_);
  out.file_ = std::move(opened.file);
  std::vector<std::byte> front(std::size_t{2} * page_sizes.back());
  const asio::mutable_buffer into = asio::buffer(front);
  const std::size_t there = co_await read_whole(out.file_, 0, into, operation, out.name_);
  found_header header = find_header(const_byte_span(front).first(there));
  if (!header.in_force) {
    fail(errc::database_corrupted, std::string(operation), out.name_, 0, "the header of a pagestore database, in one of its two copies",
         "no valid copy in " + std::to_string(there) + " bytes");
  }
  if (page_size != 0 && header.in_force->page_size != page_size) {
    fail(errc::page_size_mismatch, std::string(operation), out.name_, 0, "pages of " + std::to_string(page_size) + " bytes",
         std::to_string(header.in_force->page_size));
  }
  out.header_ = std::move(*header.in_force);
  out.second_in_force_ = header.second;
  out.half_updated_ = !header.both;
  out.updating_ = std::make_unique<detail::async_mutex>();
  out.syncing_ = std::make_unique<detail::async_mutex>();
  co_return out;
}

asio::awaitable<database_file> database_file::create(io::file_system fs, std::filesystem::path path, database_header header) {
  constexpr std::string_view operation = "create database";
  database_file out;
  out.path_ = std::move(path);
  out.name_ = io::to_text(out.path_);
  out.header_ = header;
  out.updating_ = std::make_unique<detail::async_mutex>();
  out.syncing_ = std::make_unique<detail::async_mutex>();
  io::open_options options;
  options.mode = io::access::read_write;
  options.create = true;
  options.exclusive = true;
  calls::opened opened = co_await calls::open(fs, out.path_, options);
  if (opened.ec) fail(opened.ec, std::string(operation), out.name_);
  out.file_ = std::move(opened.file);
  std::exception_ptr failure;
  try {
    std::vector<std::byte> page(header.page_size);
    encode_header(header, page);
    const asio::const_buffer content = asio::buffer(page);
    co_await write_whole(out.file_, 0, content, operation, out.name_);
    co_await write_whole(out.file_, header.page_size, content, operation, out.name_);
    const std::uint64_t end = (std::uint64_t{header.pages} + 2) * header.page_size;
    co_await write_zeros(out.file_, std::uint64_t{2} * header.page_size, end, operation, out.name_);
    co_await out.sync();
    const std::filesystem::path directory = calls::directory_of(out.path_);
    const std::error_code ec = co_await calls::sync_directory(fs, directory);
    calls::check(ec, operation, directory);
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {   // half a file would only stand in the way of the next attempt
    const auto disabled = asio::disable_cancellation();
    co_await asio::this_coro::reset_cancellation_state(disabled);
    out.file_.close();
    const std::error_code ignored = co_await calls::remove(fs, out.path_);
    static_cast<void>(ignored);
    std::rethrow_exception(failure);
  }
  co_return out;
}

asio::awaitable<void> database_file::update(std::function<void(database_header&)> change) {
  const detail::async_mutex::guard alone = co_await updating_->lock();
  if (header_in_doubt_) fail(errc::instance_unavailable, "write database header", name_, 0, "a header that was written before", "a failed write");
  database_header next = header_;
  change(next);
  next.update = header_.update + 1;
  std::vector<std::byte> page(next.page_size);
  encode_header(next, page);
  const twin_place place = header_place(next.page_size);
  header_in_doubt_ = true;
  std::function<asio::awaitable<void>()> sync_this = [this] { return sync(); };
  co_await write_twins(file_, std::move(sync_this), place, std::move(page), !second_in_force_, "write database header", name_);
  header_in_doubt_ = half_updated_ = false;
  header_ = std::move(next);
  second_in_force_ = false;   // both are
}

asio::awaitable<void> database_file::read(page_no n, asio::mutable_buffer page) {
  const std::uint64_t at = page_offset(n, header_.page_size);
  const std::size_t there = co_await read_whole(file_, at, page, "read page", name_);
  if (there < page.size()) std::memset(static_cast<std::byte*>(page.data()) + there, 0, page.size() - there);
}

asio::awaitable<void> database_file::write(page_no n, asio::const_buffer page) {
  const std::uint64_t at = page_offset(n, header_.page_size);
  co_await write_whole(file_, at, page, "write page", name_);
}

asio::awaitable<void> database_file::read_checked(page_no n, asio::mutable_buffer page) {
  co_await read(n, page);
  const const_byte_span content(static_cast<const std::byte*>(page.data()), page.size());
  const page_state state = examine_page(content, n, header_.database.random);
  const std::uint64_t at = page_offset(n, header_.page_size);
  if (state == page_state::damaged) {
    fail(errc::read_verify_failure, "read page", name_, at, "page " + std::to_string(n) + " with its checksum", "another content");
  }
  // Taken for a map, zeros would give away pages that are in use.
  if (state == page_state::blank && is_bitmap_page(n, header_.page_size)) {
    fail(errc::read_verify_failure, "read page", name_, at, "page " + std::to_string(n) + ", a map of pages", "zeros");
  }
  if (state == page_state::misplaced) {
    const page_header header = get_page_header(content);
    fail(errc::page_number_mismatch, "read page", name_, at, "page " + std::to_string(n) + " of this database",
         header.signature == header_.database.random ? "page " + std::to_string(header.number) : "a page of another database");
  }
}

asio::awaitable<void> database_file::sync() {
  const detail::async_mutex::guard alone = co_await syncing_->lock();
  if (sync_failure_) fail(sync_failure_, "sync database", name_, {}, "no failure before", "an earlier sync that failed, and may have lost pages");
  const std::error_code ec = co_await calls::sync(file_);
  if (ec && ec != asio::error::operation_aborted) sync_failure_ = ec;   // one that was called off was not done, and lost nothing
  if (ec) fail(ec, "sync database", name_);
}

asio::awaitable<void> database_file::extend(std::uint32_t owned, std::uint32_t pages) {
  const std::uint64_t now = (std::uint64_t{owned} + 2) * header_.page_size;
  const std::uint64_t wanted = (std::uint64_t{pages} + 2) * header_.page_size;
  co_await write_zeros(file_, now, wanted, "extend database", name_);
}

asio::awaitable<void> database_file::stretch(std::uint32_t pages) {
  const std::uint64_t now = co_await bytes();
  const std::uint64_t wanted = (std::uint64_t{pages} + 2) * header_.page_size;
  if (now >= wanted) co_return;
  const std::error_code ec = co_await calls::resize(file_, wanted);
  if (ec) fail(ec, "extend database", name_, wanted);
}

asio::awaitable<std::uint64_t> database_file::bytes() {
  const std::uint64_t out = co_await file_bytes(file_, "size of database", name_);
  co_return out;
}

asio::awaitable<void> database_file::cut(std::uint32_t pages) {
  const std::uint64_t wanted = (std::uint64_t{pages} + 2) * header_.page_size;
  const std::error_code ec = co_await calls::resize(file_, wanted);
  if (ec) fail(ec, "cut database", name_, wanted);
  co_await sync();
}

}  // namespace contrail::pagestore
