#include "engines/pagestore/instance/core.hpp"

#include "engines/pagestore/cache/page_pins.hpp"
#include "engines/pagestore/format/bitmap.hpp"
#include "engines/pagestore/format/page.hpp"

#include <contrail/error.hpp>

#include <algorithm>
#include <cstring>
#include <string>

// What transactions do before they commit: nothing here touches a disk but to read.
namespace contrail::pagestore {

namespace {

/// Pages that a transaction remembers having read.
constexpr std::size_t most_seen = 65536;

[[noreturn]] void not_allocated(const open_database& d, page_no n, std::string_view operation) {
  fail(errc::page_not_initialized, std::string(operation), d.file.name(), {}, "an allocated page", "page " + std::to_string(n));
}

void require_open(const transaction_state& t, std::string_view operation) {
  if (t.over) fail(errc::term_in_progress, std::string(operation), {}, {}, "an open transaction", "one that is over");
}

}  // namespace

std::shared_ptr<transaction_state> instance_core::begin() { return std::make_shared<transaction_state>(); }

// A database is in use from the first call on, so that it is not let go of under a transaction.
void instance_core::touch(const std::shared_ptr<transaction_state>& t, open_database& d) {
  if (!t->databases.emplace(d.id, d.dbtime).second) return;
  ++d.users;
  open_.insert(t);
}

asio::awaitable<page_view> instance_core::view(open_database& d, page_no n, std::string_view operation) {
  if (n == 0 || n > d.pages || is_bitmap_page(n, how_.page_size)) not_allocated(d, n, operation);
  page_view out = co_await cache_->get(d.id, n);
  require_running();
  const auto is_data = [&out] { return get_page_header(out.content->all()).kind == page_kind::data; };   // which zeros are not
  if (is_data()) co_return out;
  // It is free, or the file has lost it: the map knows. Both are looked at in one moment, for somebody may commit meanwhile.
  const page_no map = bitmap_of(n, how_.page_size);
  page_pins kept(*cache_);
  co_await kept.add(d.id, map);
  out = co_await cache_->get(d.id, n);
  require_running();
  if (is_data()) co_return out;
  if (!bitmap_get(cache_->peek(d.id, map).content->all(), n, how_.page_size)) not_allocated(d, n, operation);
  fail(errc::read_verify_failure, std::string(operation), d.file.name(), page_offset(n, how_.page_size),
       "page " + std::to_string(n) + ", which is allocated",
       all_zero(out.content->all()) ? "zeros" : "an older content, from when it was free");
}

asio::awaitable<std::size_t> instance_core::read(std::shared_ptr<transaction_state> t, database in, page_no n, std::size_t offset,
                                                 asio::mutable_buffer into) {
  const call_guard running(*this);
  require_running();
  require_open(*t, "read page");
  open_database& d = find(in, "read page");
  touch(t, d);
  const std::size_t payload = how_.page_size - page_header_bytes;
  if (offset > payload) fail(errc::invalid_parameter, "read page", d.file.name(), {}, "an offset within the page", std::to_string(offset));
  const transaction_state::key key(in.id, n);
  const std::size_t count = std::min(into.size(), payload - offset);
  const auto mine = t->pages.find(key);
  if (mine != t->pages.end()) {
    if (mine->second.content == nullptr) not_allocated(d, n, "read page");
    std::memcpy(into.data(), mine->second.content->all().data() + page_header_bytes + offset, count);
    co_return count;
  }
  co_await cache_->make_room();
  const page_view seen = co_await view(d, n, "read page");
  require_open(*t, "read page");
  // The first look counts: a page that changes between two reads cannot be written any more.
  if (t->seen.size() < most_seen) t->seen.emplace(key, seen.dbtime);
  t->newest = std::max(t->newest, seen.changed);
  std::memcpy(into.data(), seen.content->all().data() + page_header_bytes + offset, count);
  co_return count;
}

// Half of the cache is for pages that nobody may take out of memory.
void instance_core::require_room(const transaction_state& t) {
  if (private_pages_ < how_.cache_size / 2) return;
  fail(errc::version_store_out_of_memory, "change a page", {}, {}, "at most " + std::to_string(how_.cache_size / 2) + " changed pages in memory",
       std::to_string(t.pages.size()) + " in this transaction; roll it back");
}

asio::awaitable<private_page*> instance_core::own(std::shared_ptr<transaction_state> t, open_database& d, page_no n,
                                                  std::string_view operation) {
  const transaction_state::key key(d.id, n);
  const auto mine = t->pages.find(key);
  if (mine != t->pages.end()) {
    if (mine->second.content == nullptr) not_allocated(d, n, operation);
    co_return &mine->second;
  }
  require_room(*t);
  co_await cache_->make_room();
  const page_view first = co_await view(d, n, operation);
  require_open(*t, operation);
  page_view now = cache_->peek(d.id, n);
  if (now.content == nullptr) now = first;
  const auto seen = t->seen.find(key);
  bool stale = now.dbtime != first.dbtime || (seen != t->seen.end() && seen->second != now.dbtime);
  // What it may have read and forgotten: no page that changed since it began.
  if (seen == t->seen.end() && t->seen.size() >= most_seen) stale = stale || now.dbtime > t->databases.at(d.id);
  if (stale || owners_.count(key) != 0) {
    ++sums_.conflicts;
    fail(errc::write_conflict, std::string(operation), d.file.name(), page_offset(n, how_.page_size), "a page that nobody else changes",
         stale ? "one that was changed since it was read" : "one that another transaction has changed");
  }
  require_room(*t);
  auto copy = std::make_shared<page_buffer>(how_.page_size);
  std::memcpy(copy->all().data(), now.content->all().data(), how_.page_size);
  private_page& page = t->pages[key];
  page.base = now.content;
  page.base_dbtime = now.dbtime;
  page.content = std::move(copy);
  owners_.emplace(key, t.get());
  ++private_pages_;
  co_return &page;
}

asio::awaitable<void> instance_core::write(std::shared_ptr<transaction_state> t, database in, page_no n, std::size_t offset,
                                           asio::const_buffer from) {
  const call_guard running(*this);
  require_running();
  require_open(*t, "write page");
  open_database& d = find(in, "write page");
  const std::size_t payload = how_.page_size - page_header_bytes;
  if (offset > payload || from.size() > payload - offset) {
    fail(errc::invalid_parameter, "write page", d.file.name(), page_offset(n, how_.page_size),
         "bytes within the " + std::to_string(payload) + " of a page", std::to_string(from.size()) + " from " + std::to_string(offset) + " on");
  }
  touch(t, d);
  private_page* const page = co_await own(t, d, n, "write page");
  std::memcpy(page->content->all().data() + page_header_bytes + offset, from.data(), from.size());
}

asio::awaitable<void> instance_core::free(std::shared_ptr<transaction_state> t, database in, page_no n) {
  const call_guard running(*this);
  require_running();
  require_open(*t, "free page");
  open_database& d = find(in, "free page");
  touch(t, d);
  private_page* const page = co_await own(t, d, n, "free page");
  if (!page->allocated) {
    page->content.reset();
    co_return;
  }
  // It never was: nobody will hear of it.
  const transaction_state::key key(in.id, n);
  owners_.erase(key);
  d.reserved.erase(n);
  d.search_from = std::min(d.search_from, n);
  t->pages.erase(key);
  --private_pages_;
}

// A page that is free in the committed state and that nobody has reserved; 0 when there is none.
asio::awaitable<page_no> instance_core::find_free(open_database& d, page_no hint) {
  const page_no from = std::max(std::min(hint, d.pages), d.search_from);
  bool from_the_start = from == d.search_from;
  page_no n = from;
  bool lowest = from_the_start;
  const page_no known = d.search_from;   // a commit may free a lower one while a map is read
  while (true) {
    if (n > d.pages) {
      if (from_the_start) co_return 0;
      from_the_start = true;
      n = d.search_from;
      lowest = true;
      continue;
    }
    const page_no map = bitmap_of(n, how_.page_size);
    const page_view now = co_await cache_->get(d.id, map);
    const page_content& bits = now.content;
    const std::uint64_t end = std::min<std::uint64_t>(std::uint64_t{map} + pages_a_bitmap(how_.page_size), std::uint64_t{d.pages} + 1);
    while (n < end) {
      const std::size_t byte = bitmap_bits_at + (n - map) / 8;
      if ((n - map) % 8 == 0 && bits->all()[byte] == std::byte{0xff}) {
        n += 8;
        continue;
      }
      if (!bitmap_get(bits->all(), n, how_.page_size) && d.reserved.count(n) == 0) {
        if (lowest && d.search_from == known) d.search_from = n;
        co_return n;
      }
      ++n;
    }
    n = static_cast<page_no>(end);
  }
}

asio::awaitable<page_no> instance_core::allocate(std::shared_ptr<transaction_state> t, database in, page_no hint) {
  const call_guard running(*this);
  require_running();
  require_open(*t, "allocate page");
  open_database& d = find(in, "allocate page");
  touch(t, d);
  require_room(*t);
  co_await cache_->make_room();
  page_no n = co_await find_free(d, hint);
  while (n == 0) {
    co_await grow(d, d.pages + 1);
    require_running();
    require_open(*t, "allocate page");
    n = co_await find_free(d, hint);
  }
  require_open(*t, "allocate page");
  require_room(*t);
  d.reserved.insert(n);
  const transaction_state::key key(in.id, n);
  private_page& page = t->pages[key];
  page.allocated = true;
  page.base.reset();
  page.content = std::make_shared<page_buffer>(how_.page_size);
  std::memset(page.content->all().data(), 0, how_.page_size);
  page_header header;
  header.number = n;
  header.kind = page_kind::data;
  header.signature = d.file.header().database.random;
  put_page_header(page.content->all(), header);
  owners_.emplace(key, t.get());
  ++private_pages_;
  co_return n;
}

void instance_core::rollback(transaction_state& t) noexcept {
  if (t.over) return;
  if (!t.databases.empty()) ++sums_.rollbacks;
  release(t);
}

// Lets go of everything that the transaction holds; it is over.
void instance_core::release(transaction_state& t) noexcept {
  for (const auto& [key, page] : t.pages) {
    owners_.erase(key);
    --private_pages_;
    const auto d = databases_.find(key.first);
    if (page.allocated && d != databases_.end()) {
      d->second->reserved.erase(key.second);
      d->second->search_from = std::min(d->second->search_from, key.second);
    }
  }
  for (const auto& [id, since] : t.databases) {
    const auto d = databases_.find(id);
    if (d != databases_.end()) --d->second->users;
  }
  t.pages.clear();
  t.seen.clear();
  t.databases.clear();
  t.over = true;
  open_.erase(t.shared_from_this());
}

}  // namespace contrail::pagestore
