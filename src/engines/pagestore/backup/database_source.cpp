#include "engines/pagestore/backup/database_source.hpp"

#include "engines/pagestore/format/bitmap.hpp"
#include "engines/pagestore/format/page.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>
#include "async/file_calls.hpp"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

namespace contrail::pagestore {

namespace {

constexpr std::uint64_t header_pages = 2;

const_byte_span bytes_of(asio::const_buffer buffer) noexcept { return {static_cast<const std::byte*>(buffer.data()), buffer.size()}; }

/// Page k of the file is page k - 1 of the database.
class format_of_pages final : public page_format {
 public:
  format_of_pages(std::uint32_t page_size, std::uint64_t database) noexcept : page_size_(page_size), database_(database) {}
  std::uint32_t page_bytes() const noexcept override { return page_size_; }
  verdict check(std::uint64_t page, asio::const_buffer bytes) const noexcept override {
    switch (examine_page(bytes_of(bytes), static_cast<page_no>(page - 1), database_)) {
      case page_state::good: return verdict::good;
      case page_state::blank: return verdict::unwritten;
      case page_state::misplaced: return verdict::bad_number;
      case page_state::damaged: break;
    }
    return verdict::bad_checksum;
  }

 private:
  std::uint32_t page_size_;
  std::uint64_t database_;
};

class gate_of_pages final : public page_gate {
 public:
  gate_of_pages(std::shared_ptr<instance_core> core, std::uint8_t id) : core_(std::move(core)), id_(id) {}
  asio::awaitable<void> lock(page_range pages) override { co_await instance_core::call(core_, core_->hold_pages(range_of(pages))); }
  void unlock(page_range pages) noexcept override { core_->release_pages(range_of(pages)); }

 private:
  page_holds::range range_of(page_range pages) const noexcept {
    page_holds::range out;
    out.id = id_;
    out.first = static_cast<page_no>(pages.first - 1);
    out.count = pages.count;
    return out;
  }
  std::shared_ptr<instance_core> core_;
  std::uint8_t id_;
};

class database_source final : public source {
 public:
  database_source(std::shared_ptr<instance_core> core, std::shared_ptr<const running_backup> of, std::uint8_t id, database_copy copy,
                  io::random_access_file file, read_policy policy, read_counters* counters, std::function<void(const database_copy&)> finished)
      : core_(std::move(core)),
        of_(std::move(of)),
        id_(id),
        copy_(std::move(copy)),
        header_(copy_.header.page_size),
        format_(copy_.header.page_size, copy_.header.database.random),
        gate_(core_, id),
        finished_(std::move(finished)) {
    encode_header(copy_.header, header_);
    body_ = make_page_source(std::move(file), io::to_text(copy_.path), bytes(), format_, &gate_, policy, counters);
  }

  std::uint64_t bytes() const noexcept override { return (header_pages + copy_.pages) * header_.size(); }
  std::size_t trailer_bytes() const noexcept override { return header_.size(); }
  std::size_t granularity() const noexcept override { return header_.size(); }

  asio::awaitable<std::size_t> read(std::uint64_t offset, asio::mutable_buffer into) override {
    const std::uint64_t front = header_pages * header_.size();
    std::size_t done = 0;
    while (offset + done < front && done < into.size()) {
      const std::size_t within = static_cast<std::size_t>((offset + done) % header_.size());
      const std::size_t n = std::min(header_.size() - within, into.size() - done);
      std::memcpy(static_cast<std::byte*>(into.data()) + done, header_.data() + within, n);
      done += n;
    }
    if (done == into.size()) co_return done;
    const asio::mutable_buffer rest = into + done;
    const std::size_t got = co_await body_->read(offset + done, rest);
    co_return done + got;
  }

  std::error_code fold(std::uint64_t offset, asio::const_buffer chunk) override {
    delivered_ = offset + chunk.size();
    const std::error_code ec = body_->fold(offset, chunk);
    if (!ec) look_for_lost(offset, bytes_of(chunk));
    return ec;
  }

  asio::awaitable<std::uint64_t> finish(asio::mutable_buffer trailer) override {
    if (delivered_ != bytes()) {
      fail(errc::read_verify_failure, "copy database", io::to_text(copy_.path), delivered_, std::to_string(bytes()) + " bytes",
           "a file that ends there");
    }
    std::vector<page_no> without = std::move(without_content_);
    co_await instance_core::call(core_, core_->require_content(id_, std::move(without)));
    const database_trailer content = co_await instance_core::call(core_, core_->end_copy(of_, id_, copy_.pages));
    encode_trailer(content, byte_span(static_cast<std::byte*>(trailer.data()), trailer.size()));
    finished_(copy_);
    co_return delivered_;
  }

 private:
  // Zeros have no checksum, and what a page was when it was free has a good one: only the map tells what must be there. It may be newer or older than
  // the page, so the instance has the last word.
  void look_for_lost(std::uint64_t offset, const_byte_span chunk) {
    const auto size = static_cast<std::uint32_t>(header_.size());
    for (std::size_t at = 0; at + size <= chunk.size(); at += size) {
      const std::uint64_t place = (offset + at) / size;
      if (place < header_pages) continue;
      const auto n = static_cast<page_no>(place - 1);
      const const_byte_span page = chunk.subspan(at, size);
      const bool map = is_bitmap_page(n, size);
      if (map) map_.assign(page.begin(), page.end());
      if ((map || bitmap_get(map_, n, size)) && !has_content(page, n, size)) without_content_.push_back(n);
    }
  }

  std::shared_ptr<instance_core> core_;
  std::shared_ptr<const running_backup> of_;
  std::uint8_t id_;
  database_copy copy_;
  std::vector<std::byte> header_;
  format_of_pages format_;
  gate_of_pages gate_;
  std::function<void(const database_copy&)> finished_;
  std::unique_ptr<source> body_;         ///< refers to format and gate
  std::uint64_t delivered_ = 0;
  std::vector<std::byte> map_;           ///< the last one that was delivered
  std::vector<page_no> without_content_; ///< though allocated, as that map has it
};

}  // namespace

asio::awaitable<std::unique_ptr<source>> open_database_source(std::shared_ptr<instance_core> core, io::file_system fs,
                                                              std::shared_ptr<const running_backup> of, std::uint8_t id, read_policy policy,
                                                              read_counters* counters, std::function<void(const database_copy&)> finished) {
  database_copy copy = co_await instance_core::call(core, core->begin_copy(of, id));
  io::open_options how;
  how.cache = io::caching::neutral;
  calls::opened opened = co_await calls::open(fs, copy.path, how);
  calls::check(opened.ec, "copy database", copy.path);
  std::unique_ptr<source> out = std::make_unique<database_source>(std::move(core), std::move(of), id, std::move(copy), std::move(opened.file),
                                                                  policy, counters, std::move(finished));
  co_return out;
}

}  // namespace contrail::pagestore
