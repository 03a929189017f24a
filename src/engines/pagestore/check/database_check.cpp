#include <contrail/engines/pagestore/inspect.hpp>

#include "engines/pagestore/cache/page_buffer.hpp"
#include "engines/pagestore/database_file.hpp"
#include "engines/pagestore/format/bitmap.hpp"

#include <contrail/error.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

namespace contrail::pagestore {

namespace {

class checker {
 public:
  checker(database_file file, std::function<void(const found_damage&)> damaged)
      : file_(std::move(file)),
        size_(file_.header().page_size),
        damaged_(std::move(damaged)),
        map_(size_),
        pages_(at_once * size_) {}
  asio::awaitable<database_totals> run();

 private:
  static constexpr std::uint32_t at_once = 32;   // pages
  void tell(page_no n, std::string what);
  void check_page(page_no n, const_byte_span page);

  database_file file_;
  const std::uint32_t size_;
  std::function<void(const found_damage&)> damaged_;
  page_buffer map_;             ///< of the pages that are looked at
  bool map_good_ = false;
  page_buffer pages_;
  database_totals out_;
};

void checker::tell(page_no n, std::string what) {
  found_damage d;
  d.file = file_.name();
  d.offset = page_offset(n, size_);
  d.what = "page " + std::to_string(n) + ": " + std::move(what);
  damaged_(d);
}

void checker::check_page(page_no n, const_byte_span page) {
  ++out_.pages;
  const page_state state = examine_page(page, n, file_.header().database.random);
  const page_header header = get_page_header(page);
  const bool map = is_bitmap_page(n, size_);
  if (map) {
    map_good_ = state == page_state::good && header.kind == page_kind::bitmap;
    if (map_good_) std::memcpy(map_.all().data(), page.data(), size_);
  }
  if (state == page_state::damaged) return tell(n, "its checksum does not fit");
  if (state == page_state::misplaced) return tell(n, "a page of another place, or of another database");
  const bool allocated = map_good_ && bitmap_get(map_.all(), n, size_);
  if (state == page_state::blank) {
    ++out_.blank;
    if (allocated) tell(n, "never written, though it is allocated");
    else if (map) tell(n, "no map of pages");
    return;
  }
  if (header.dbtime > file_.header().dbtime) {
    tell(n, "changed at dbtime " + std::to_string(header.dbtime) + ", the database is at " + std::to_string(file_.header().dbtime));
  }
  if (map != (header.kind == page_kind::bitmap)) return tell(n, map ? "no map of pages" : "a map of pages where none belongs");
  if (map) ++out_.maps;
  if (header.kind == page_kind::data) ++out_.data;
  if (header.kind == page_kind::free) ++out_.free;
  if (!map_good_) return;
  if (allocated == (header.kind == page_kind::free)) tell(n, allocated ? "free, though the map has it allocated" : "in use, though the map has it free");
}

asio::awaitable<database_totals> checker::run() {
  const asio::mutable_buffer front(map_.all().data(), size_);
  co_await file_.read(1, front);
  const bool first_good = examine_page(map_.all(), 1, file_.header().database.random) == page_state::good;
  const std::uint32_t owned = first_good ? bitmap_pages(map_.all()) : file_.header().pages;
  const std::uint64_t bytes = co_await file_.bytes();
  const std::uint64_t least = page_offset(owned, size_) + size_;
  if (bytes < least) {
    found_damage d;
    d.file = file_.name();
    d.offset = bytes;
    d.what = "the file ends there; its " + std::to_string(owned) + " pages need " + std::to_string(least) + " bytes";
    damaged_(d);
  }
  const std::uint64_t there = std::min<std::uint64_t>(owned, bytes / size_ < 2 ? 0 : bytes / size_ - 2);
  map_good_ = false;
  for (std::uint64_t first = 1; first <= there; first += at_once) {
    const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(at_once, there - first + 1));
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto n = static_cast<page_no>(first + i);
      const byte_span page = pages_.all().subspan(std::size_t{i} * size_, size_);
      co_await file_.read(n, asio::mutable_buffer(page.data(), page.size()));
    }
    for (std::uint32_t i = 0; i < count; ++i) check_page(static_cast<page_no>(first + i), pages_.all().subspan(std::size_t{i} * size_, size_));
  }
  co_return out_;
}

}  // namespace

asio::awaitable<database_totals> check_database(io::file_system fs, std::filesystem::path path, std::function<void(const found_damage&)> damaged) {
  database_file file = co_await database_file::open(std::move(fs), std::move(path), 0);
  checker work(std::move(file), std::move(damaged));
  const database_totals out = co_await work.run();
  co_return out;
}

}  // namespace contrail::pagestore
