#include "engines/pagestore/instance/core.hpp"

#include "engines/pagestore/cache/page_pins.hpp"
#include "engines/pagestore/clock.hpp"
#include "engines/pagestore/format/bitmap.hpp"
#include "engines/pagestore/format/log_record.hpp"
#include "engines/pagestore/format/page.hpp"

#include <contrail/error.hpp>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <string>

// A transaction becomes one record and its pages the committed ones, in one step without a suspension.
namespace contrail::pagestore {

namespace {

struct changed_page {
  std::uint8_t id = 0;
  page_no number = 0;
  page_content base;                      ///< null: none that anybody may build on
  std::uint64_t before = 0;
  std::shared_ptr<page_buffer> content;
  page_kind kind = page_kind::data;
  bool freed = false;
};

std::shared_ptr<page_buffer> copy_of(const page_content& from) {
  auto out = std::make_shared<page_buffer>(from->all().size());
  std::memcpy(out->all().data(), from->all().data(), from->all().size());
  return out;
}

}  // namespace

std::size_t instance_core::largest_record(const transaction_state& t) const {
  std::set<page_key> bitmaps;
  std::size_t changes = t.pages.size();
  for (const auto& [key, page] : t.pages) {
    if (page.allocated || page.content == nullptr) bitmaps.emplace(key.first, bitmap_of(key.second, how_.page_size));
  }
  changes += bitmaps.size();
  return record_header_bytes + 8 + 16 * t.databases.size() + changes * (largest_change(how_.page_size) + 8);
}

lgpos instance_core::append_commit(transaction_state& t, durability how) {
  // The bitmap pages as they are committed now, with this transaction's bits.
  std::map<page_key, changed_page> bitmaps;
  std::vector<changed_page> changes;
  std::set<std::uint8_t> touched;
  for (auto& [key, page] : t.pages) {
    open_database& d = *databases_.at(key.first);
    touched.insert(d.id);
    changed_page c;
    c.id = key.first;
    c.number = key.second;
    c.base = page.base;
    c.before = page.base_dbtime;
    c.freed = page.content == nullptr;
    c.content = page.content;
    const page_no map = bitmap_of(c.number, how_.page_size);
    if (page.allocated || c.freed) {
      changed_page& b = bitmaps[page_key(d.id, map)];
      if (b.content == nullptr) {
        const page_view now = cache_->peek(d.id, map);
        assert(now.content != nullptr);
        b.id = d.id;
        b.number = map;
        b.base = now.content;
        b.before = now.dbtime;
        b.kind = page_kind::bitmap;
        b.content = copy_of(now.content);
      }
      bitmap_set(b.content->all(), c.number, how_.page_size, !c.freed);
    }
    if (c.freed) {
      c.content = std::make_shared<page_buffer>(how_.page_size);
      std::memset(c.content->all().data(), 0, how_.page_size);
      c.kind = page_kind::free;
      d.search_from = std::min(d.search_from, c.number);
    }
    changes.push_back(std::move(c));
  }
  for (auto& [key, b] : bitmaps) changes.push_back(std::move(b));

  std::vector<touched_database> databases;
  for (const std::uint8_t id : touched) databases.push_back(touched_database{id, ++databases_.at(id)->dbtime});

  std::vector<std::byte> bytes;
  record_builder record(bytes);
  record.begin_commit(how == durability::durable ? record_durable : std::uint8_t{0}, now_ns(), databases);
  for (changed_page& c : changes) {
    const open_database& d = *databases_.at(c.id);
    page_header header;
    header.number = c.number;
    header.kind = c.kind;
    header.dbtime = d.dbtime;
    header.signature = d.file.header().database.random;
    put_page_header(c.content->all(), header);
    const const_byte_span payload = c.content->all().subspan(page_header_bytes);
    if (c.freed) {
      record.free(c.id, c.number, c.before);
    } else if (c.base == nullptr && all_zero(payload)) {
      record.format(c.id, c.number, c.before, c.kind);
    } else if (c.base == nullptr || c.before <= d.horizon) {
      record.image(c.id, c.number, c.before, c.content->all());
      ++sums_.images;
    } else {
      record.difference(c.id, c.number, c.before, c.base->all(), c.content->all());
      ++sums_.deltas;
    }
  }
  record.finish();
  const lgpos at = log_->append(bytes);
  for (changed_page& c : changes) {
    const std::uint64_t dbtime = databases_.at(c.id)->dbtime;
    cache_->install(c.id, c.number, std::move(c.content), dbtime, at);
  }
  return at;
}

asio::awaitable<commit_info> instance_core::commit(std::shared_ptr<transaction_state> t, durability how) {
  const call_guard running(*this);
  require_running();
  if (t->over) fail(errc::term_in_progress, "commit", {}, {}, "an open transaction", "one that is over");
  commit_info out;
  if (t->pages.empty()) {
    const lgpos newest = t->newest;
    release(*t);
    if (how == durability::durable && newest != lgpos{}) co_await log_->make_durable(newest);
    co_return out;
  }
  const std::size_t bytes = largest_record(*t);
  if (bytes > log_->largest_transaction()) {
    fail(errc::version_store_out_of_memory, "commit", {}, {}, "at most " + std::to_string(log_->largest_transaction()) + " bytes of log",
         std::to_string(bytes) + "; roll it back");
  }
  // Memory is bounded before more of it is taken: what is written later must be found room for now.
  co_await cache_->make_room();
  std::set<page_key> maps;   // first: the transaction may be ended while they are read
  for (const auto& [key, page] : t->pages) {
    if (page.allocated || page.content == nullptr) maps.emplace(key.first, bitmap_of(key.second, how_.page_size));
  }
  page_pins kept(*cache_);
  for (const page_key& map : maps) co_await kept.add(map.first, map.second);
  co_await wait_for_log(bytes, log_stream::reserve::engine);
  require_running();
  if (t->over) fail(errc::term_in_progress, "commit", {}, {}, "an open transaction", "one that is over");
  const lgpos before = log_->tip();
  try {
    out.at = append_commit(*t, how);
  } catch (...) {
    if (log_->tip() != before) lost(std::make_error_code(std::errc::not_enough_memory));   // the log has it, the cache has a part of it
    throw;
  }
  release(*t);
  ++sums_.commits;
  if (log_ahead() >= how_.checkpoint_depth / 2 && !round_wanted_) {
    round_wanted_ = true;
    round_asked_.notify();
  }
  if (how == durability::durable) {
    co_await log_->make_durable(out.at);
  } else {
    ++sums_.lazy_commits;
    log_->expect_soon();
  }
  co_return out;
}

// The engine's own transaction: the database owns so many pages, and what bitmap pages that takes.
asio::awaitable<void> instance_core::append_growth(open_database& d, std::uint32_t pages) {
  page_pins kept(*cache_);
  co_await kept.add(d.id, 1);
  const std::uint32_t each = pages_a_bitmap(how_.page_size);
  const std::uint32_t first_new = (d.pages + each - 1) / each;
  const std::uint32_t behind_new = (pages + each - 1) / each;
  const std::size_t bytes = record_header_bytes + 24 + (2 + behind_new - first_new) * (largest_change(how_.page_size) + 8);
  co_await wait_for_log(bytes, log_stream::reserve::engine);
  require_running();

  const page_view one = cache_->peek(d.id, 1);
  std::shared_ptr<page_buffer> content = copy_of(one.content);
  set_bitmap_pages(content->all(), pages);
  const std::uint64_t dbtime = ++d.dbtime;
  std::vector<std::byte> record_content;
  record_builder record(record_content);
  const touched_database touched{d.id, dbtime};
  record.begin_commit(record_engine, now_ns(), std::span<const touched_database>(&touched, 1));
  page_header header;
  header.number = 1;
  header.kind = page_kind::bitmap;
  header.dbtime = dbtime;
  header.signature = d.file.header().database.random;
  put_page_header(content->all(), header);
  if (one.dbtime <= d.horizon) {
    record.image(d.id, 1, one.dbtime, content->all());
  } else {
    record.difference(d.id, 1, one.dbtime, one.content->all(), content->all());
  }
  std::vector<std::pair<page_no, std::shared_ptr<page_buffer>>> made;
  for (std::uint32_t k = first_new; k < behind_new; ++k) {
    const page_no n = 1 + k * each;
    auto map = std::make_shared<page_buffer>(how_.page_size);
    std::memset(map->all().data(), 0, how_.page_size);
    header.number = n;
    put_page_header(map->all(), header);
    bitmap_set(map->all(), n, how_.page_size, true);
    record.image(d.id, n, 0, map->all());
    made.emplace_back(n, std::move(map));
  }
  record.finish();
  const lgpos at = log_->append(record_content);
  cache_->install(d.id, 1, std::move(content), dbtime, at);
  for (auto& [n, map] : made) cache_->install(d.id, n, std::move(map), dbtime, at);
  d.pages = pages;
  log_->expect_soon();
}

}  // namespace contrail::pagestore
