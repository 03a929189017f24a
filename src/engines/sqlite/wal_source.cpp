#include "wal_source.hpp"

#include "source/read_fully.hpp"

#include <contrail/error.hpp>

#include <asio/error.hpp>
#include <fmt/format.h>

#include <algorithm>

namespace contrail::sqlite {

namespace {

/// How many frames below the bound the index requires. Of a log that was started anew since the bound was taken, only those below it.
std::uint32_t required_frames(const wal_start& start) noexcept {
  if (!start.floor || start.floor->frames == 0 || start.bound < wal_header_bytes) {
    return 0;
  }
  const std::uint64_t room = (start.bound - wal_header_bytes) / (wal_frame_header_bytes + start.page_bytes);
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(room, start.floor->frames));
}

}  // namespace

asio::awaitable<std::size_t> read_fully(io::random_access_file& file, std::uint64_t offset, asio::mutable_buffer into, std::string name) {
  const contrail::detail::read_result got = co_await contrail::detail::read_fully(file, offset, into);
  if (got.ec == asio::error::operation_aborted) {
    throw std::system_error(got.ec);
  }
  if (got.ec) {
    fail(got.ec, "read", name, offset + got.bytes);
  }
  co_return got.bytes;
}

wal_source::wal_source(io::random_access_file file, io::lease scratch, wal_start start, std::shared_ptr<wal_outcome> outcome,
                       std::shared_ptr<page_coverage> coverage)
    : file_(std::move(file)),
      scratch_(std::move(scratch)),
      start_(std::move(start)),
      outcome_(std::move(outcome)),
      coverage_(std::move(coverage)),
      required_(required_frames(start_)),
      walker_(required_) {}

asio::awaitable<std::size_t> wal_source::read(std::uint64_t offset, asio::mutable_buffer into) {
  if (offset >= start_.bound) {
    co_return 0;
  }
  const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), start_.bound - offset));
  const asio::mutable_buffer wanted = asio::buffer(into, most);
  const std::size_t got = co_await read_fully(file_, offset, wanted, start_.path);
  co_return got;
}

std::error_code wal_source::fold(std::uint64_t, asio::const_buffer chunk) {
  walker_.feed(chunk, [this](std::uint32_t, std::uint32_t page, std::uint32_t) { coverage_->add(page); });
  if (walker_.header() && walker_.header()->page_bytes != start_.page_bytes) {
    return errc::page_size_mismatch;
  }
  return {};
}

asio::awaitable<std::uint64_t> wal_source::finish(asio::mutable_buffer) {
  const asio::mutable_buffer front = asio::buffer(scratch_.buffer(), wal_header_bytes);
  const std::size_t got = co_await read_fully(file_, 0, front, start_.path);
  const std::string_view now(static_cast<const char*>(front.data()), got);
  const std::string_view delivered = walker_.header_bytes();
  if (now != start_.header || delivered != std::string_view(start_.header).substr(0, delivered.size())) {
    fail(errc::source_restarted, "copy the write-ahead log", start_.path, 0, "the header that the copy began with",
         "another one: the log was started anew");
  }
  check_floor();
  outcome_->known = true;
  outcome_->frames = walker_.committed_frames();
  outcome_->pages = walker_.committed_pages();
  outcome_->sums = walker_.committed_sums();
  if (walker_.header()) {
    outcome_->salt1 = walker_.header()->salt1;
    outcome_->salt2 = walker_.header()->salt2;
  }
  co_return walker_.committed_bytes();
}

void wal_source::check_floor() const {
  if (required_ == 0) {
    return;
  }
  const auto& header = walker_.header();
  if (!header || header->salt1 != start_.floor->salt1 || header->salt2 != start_.floor->salt2) {
    // The index was read before the header: either the log has been started anew since, which another try will show, or it is damaged.
    fail(errc::source_restarted, "copy the write-ahead log", start_.path, 0,
         fmt::format("the log with salts {:08x} {:08x} that the shared index names", start_.floor->salt1, start_.floor->salt2),
         header ? fmt::format("salts {:08x} {:08x}", header->salt1, header->salt2) : std::string("no valid header"));
  }
  const bool same_length = required_ == start_.floor->frames;
  if (walker_.good_frames() < required_ || (same_length && walker_.watched() != start_.floor->sums)) {
    const std::uint32_t good = std::min(walker_.good_frames(), required_ - 1);
    fail(errc::log_file_corrupt, "copy the write-ahead log", start_.path, std::max<std::uint64_t>(walker_.frame_offset(good), wal_header_bytes),
         fmt::format("{} frames with a whole chain of checksums, which were committed", required_),
         fmt::format("the chain breaks at frame {}: transactions would be lost", good + 1));
  }
}

}  // namespace contrail::sqlite
