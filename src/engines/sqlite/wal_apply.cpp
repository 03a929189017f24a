#include "wal_apply.hpp"

#include "wal_source.hpp"

#include <contrail/error.hpp>
#include <contrail/io/buffer_pool.hpp>

#include <asio/experimental/as_tuple.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write_at.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

namespace contrail::sqlite {

namespace {

constexpr auto no_throw = asio::experimental::as_tuple(asio::use_awaitable);
constexpr std::size_t batch_bytes = std::size_t{1} << 20;
constexpr const char* applying = "apply the write-ahead log";

/// One page of a batch: which, and where its content lies in the batch.
struct placed_page {
  std::uint32_t page = 0;
  std::uint32_t frame = 0;
};

[[noreturn]] void rethrow(std::error_code ec, const char* what, const std::filesystem::path& path, std::uint64_t offset) {
  if (ec == std::errc::operation_canceled) {
    throw std::system_error(ec);
  }
  fail(ec, what, path.string(), offset);
}

[[nodiscard]] asio::awaitable<io::random_access_file> open_file(io::file_system files, std::filesystem::path path, io::access mode) {
  io::open_options how;
  how.mode = mode;
  auto opened = co_await files.async_open(path, how, no_throw);
  const std::error_code ec = std::get<0>(opened);
  if (ec == std::errc::no_such_file_or_directory) {
    fail(errc::set_incomplete, "open a file of the set", path.string(), {}, {}, "it is missing");
  }
  if (ec) {
    rethrow(ec, "open a file of the set", path, 0);
  }
  co_return std::move(std::get<1>(opened));
}

[[nodiscard]] asio::awaitable<void> write_all(io::random_access_file& file, std::uint64_t offset, asio::const_buffer from,
                                              const std::filesystem::path& path) {
  auto [ec, count] = co_await asio::async_write_at(file, offset, from, no_throw);
  if (ec) {
    rethrow(ec, "write the database", path, offset + count);
  }
}

/// The pages of a batch in ascending order, each once: of several versions the last one counts.
std::vector<placed_page> newest_pages(asio::const_buffer batch, std::size_t frame_bytes, std::uint64_t last_page) {
  const auto* const at = static_cast<const unsigned char*>(batch.data());
  std::vector<placed_page> pages;
  pages.reserve(batch.size() / frame_bytes);
  for (std::size_t i = 0; (i + 1) * frame_bytes <= batch.size(); ++i) {
    placed_page next;
    next.page = read_big_endian(at + i * frame_bytes);
    next.frame = static_cast<std::uint32_t>(i);
    if (next.page <= last_page) {
      pages.push_back(next);
    }
  }
  std::sort(pages.begin(), pages.end(), [](placed_page a, placed_page b) { return a.page != b.page ? a.page < b.page : a.frame > b.frame; });
  const auto same = [](placed_page a, placed_page b) { return a.page == b.page; };
  pages.erase(std::unique(pages.begin(), pages.end(), same), pages.end());
  return pages;
}

/// Writes the batch's pages, neighbours in one go. `staging` is at least as long as the batch.
[[nodiscard]] asio::awaitable<void> write_pages(io::random_access_file& to, const std::filesystem::path& path, asio::const_buffer batch,
                                                asio::mutable_buffer staging, std::uint32_t page_bytes, std::uint64_t last_page) {
  const std::size_t frame_bytes = wal_frame_header_bytes + page_bytes;
  const std::vector<placed_page> pages = newest_pages(batch, frame_bytes, last_page);
  const auto* const from = static_cast<const unsigned char*>(batch.data());
  for (std::size_t i = 0; i < pages.size();) {
    const std::uint64_t first = pages[i].page;
    std::size_t count = 0;
    for (; i < pages.size() && pages[i].page == first + count; ++i, ++count) {
      std::memcpy(static_cast<unsigned char*>(staging.data()) + count * page_bytes,
                  from + pages[i].frame * frame_bytes + wal_frame_header_bytes, page_bytes);
    }
    const asio::const_buffer run = asio::buffer(staging, count * page_bytes);
    co_await write_all(to, (first - 1) * page_bytes, run, path);
  }
}

void check_end(const wal_walker& walker, const engine_state& state, const std::filesystem::path& log, std::uint64_t valid) {
  const auto& header = walker.header();
  if (!header || header->page_bytes != state.page_bytes || header->salt1 != state.salt1 || header->salt2 != state.salt2) {
    fail(errc::log_file_corrupt, applying, log.string(), 0,
         fmt::format("a log of {} byte pages with salts {:08x} {:08x}", state.page_bytes, state.salt1, state.salt2),
         header ? fmt::format("{} byte pages, salts {:08x} {:08x}", header->page_bytes, header->salt1, header->salt2)
                : std::string("no valid header"));
  }
  const std::uint64_t given = (valid - wal_header_bytes) / (wal_frame_header_bytes + state.page_bytes);
  if (walker.good_frames() < given) {
    const std::uint32_t good = walker.good_frames();
    fail(errc::log_file_corrupt, applying, log.string(), std::max<std::uint64_t>(walker.frame_offset(good), wal_header_bytes),
         fmt::format("{} frames with a whole chain of checksums", state.frames), fmt::format("the chain breaks at frame {}", good + 1));
  }
  if (walker.committed_frames() != state.frames || walker.good_frames() != state.frames || walker.committed_pages() != state.pages) {
    fail(errc::set_incomplete, applying, log.string(), walker.committed_bytes(),
         fmt::format("a commit at frame {}, which leaves {} pages", state.frames, state.pages),
         fmt::format("{} frames, the last commit at frame {}, which leaves {} pages", walker.good_frames(), walker.committed_frames(),
                     walker.committed_pages()));
  }
  if (walker.committed_sums() != state.sums) {
    fail(errc::log_file_corrupt, applying, log.string(), walker.committed_bytes(),
         fmt::format("checksum {:08x} {:08x}", state.sums.first, state.sums.second),
         fmt::format("{:08x} {:08x}", walker.committed_sums().first, walker.committed_sums().second));
  }
}

}  // namespace

asio::awaitable<void> apply_log(io::file_system files, std::filesystem::path database, std::filesystem::path log, std::uint64_t valid,
                                engine_state state) {
  const std::size_t frame_bytes = wal_frame_header_bytes + state.page_bytes;
  const std::uint64_t wanted = wal_header_bytes + std::uint64_t{state.frames} * frame_bytes;
  if (valid != wanted) {
    fail(errc::set_incomplete, applying, log.string(), valid, fmt::format("{} bytes that count ({} frames)", wanted, state.frames),
         fmt::format("{} bytes", valid));
  }
  io::random_access_file from = co_await open_file(files, log, io::access::read);
  io::random_access_file to = co_await open_file(files, database, io::access::read_write);
  const std::size_t frames_each = std::max<std::size_t>(1, batch_bytes / frame_bytes);
  io::buffer_pool pool(files.get_executor(), 2, frames_each * frame_bytes);
  const io::lease read_buffer = co_await pool.async_acquire(asio::use_awaitable);
  const io::lease write_buffer = co_await pool.async_acquire(asio::use_awaitable);

  wal_walker walker;
  auto coverage = std::make_shared<page_coverage>(state.file_pages);
  const auto ignore = [](std::uint32_t, std::uint32_t, std::uint32_t) {};
  const auto cover = [&coverage](std::uint32_t, std::uint32_t page, std::uint32_t) { coverage->add(page); };
  const asio::mutable_buffer front = asio::buffer(read_buffer.buffer(), wal_header_bytes);
  const std::size_t head = co_await read_fully(from, 0, front, log.string());
  walker.feed(asio::buffer(front, head), ignore);
  for (std::uint64_t at = wal_header_bytes; at < valid;) {
    const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(frames_each * frame_bytes, valid - at));
    const asio::mutable_buffer into = asio::buffer(read_buffer.buffer(), most);
    const std::size_t got = co_await read_fully(from, at, into, log.string());
    if (got != most) {
      fail(errc::set_incomplete, applying, log.string(), at + got, fmt::format("{} bytes that count", valid), "the end of the file");
    }
    // Nothing is written before the chain was followed through it.
    const std::uint32_t before = walker.good_frames();
    walker.feed(into, cover);
    if (walker.good_frames() - before != most / frame_bytes) {
      break;
    }
    co_await write_pages(to, database, into, write_buffer.buffer(), state.page_bytes, state.pages);
    at += most;
  }
  check_end(walker, state, log, valid);
  to.close();
  from.close();
  co_await settle_database(files, database, state, coverage);
}

asio::awaitable<void> settle_database(io::file_system files, std::filesystem::path database, engine_state state,
                                      std::shared_ptr<const page_coverage> coverage) {
  constexpr const char* settling = "check the recovered database";
  const auto missing = coverage->first_missing(state.pages, state.page_bytes);
  if (missing) {
    fail(errc::set_incomplete, settling, database.string(), (*missing - 1) * state.page_bytes, fmt::format("{} pages", state.pages),
         fmt::format("page {} is neither in the file nor in its log", *missing));
  }
  io::random_access_file file = co_await open_file(files, database, io::access::read_write);
  const std::uint64_t bytes = state.pages * state.page_bytes;
  auto [not_cut] = co_await file.async_resize(bytes, no_throw);
  if (not_cut) {
    rethrow(not_cut, "set the length of the database", database, bytes);
  }
  io::buffer_pool pool(files.get_executor(), 1, 4096);
  const io::lease buffer = co_await pool.async_acquire(asio::use_awaitable);
  const asio::mutable_buffer front = asio::buffer(buffer.buffer(), database_header_bytes);
  const std::size_t got = co_await read_fully(file, 0, front, database.string());
  const auto header = parse_database_header(std::string_view(static_cast<const char*>(front.data()), got));
  if (!header || header->page_bytes != state.page_bytes || (header->pages != 0 && header->pages != state.pages)) {
    fail(errc::set_damaged, settling, database.string(), 0,
         fmt::format("the header of a database with {} pages of {} bytes", state.pages, state.page_bytes),
         header ? fmt::format("{} pages of {} bytes", header->pages, header->page_bytes) : std::string("no SQLite header"));
  }
  auto [not_synced] = co_await file.async_sync(no_throw);
  if (not_synced) {
    rethrow(not_synced, "sync the database", database, 0);
  }
}

}  // namespace contrail::sqlite
