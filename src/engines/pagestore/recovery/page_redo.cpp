#include "engines/pagestore/recovery/page_redo.hpp"

#include "engines/pagestore/format/bitmap.hpp"

#include <contrail/error.hpp>
#include "async/task_group.hpp"

#include <algorithm>
#include <functional>
#include <string>
#include <tuple>
#include <utility>

namespace contrail::pagestore {

/// A list that several coroutines work off.
struct page_redo::work {
  explicit work(std::vector<page*> p) : pages(std::move(p)) {}
  page* take() { return next < pages.size() ? pages[next++] : nullptr; }
  std::vector<page*> pages;
  std::size_t next = 0;
};

std::size_t page_redo::at_once() const noexcept {
  return static_cast<std::size_t>(std::clamp<std::uint64_t>(how_.pages / 4, 1, 1024));
}

asio::awaitable<void> page_redo::apply(const std::vector<redo_change>& changes) {
  std::size_t done = 0;
  while (done < changes.size()) {
    // As many changes as need at most so many new pages, which are read together.
    const std::size_t most = at_once();
    co_await make_room(most);
    std::vector<page*> missing, places;
    std::size_t end = done;
    for (; end < changes.size(); ++end) {
      const redo_change& c = changes[end];
      key k;
      k.database = c.database.get();
      k.number = c.change.number;
      if (missing.size() == most && !pages_.contains(k)) break;
      const auto [at, is_new] = pages_.try_emplace(k);
      places.push_back(&at->second);
      if (!is_new) continue;
      at->second.database = c.database;
      at->second.number = k.number;
      missing.push_back(&at->second);
    }
    co_await read_all(std::move(missing));
    // Pages are met at random: each would be waited for.
    constexpr std::size_t ahead = 8;
    for (std::size_t i = 0; i < places.size(); ++i) {
      if (i + 2 * ahead < places.size()) __builtin_prefetch(places[i + 2 * ahead]);
      if (i + ahead < places.size() && places[i + ahead]->content) __builtin_prefetch(places[i + ahead]->content->all().data());
      apply_one(changes[done++], *places[i]);
    }
  }
}

asio::awaitable<void> page_redo::make_room(std::size_t more) {
  if (mode_ == mode::prove || pages_.size() + more <= how_.pages) co_return;
  if (mode_ == mode::keep) {
    mode_ = mode::prove;
    for (auto& [k, p] : pages_) {
      if (!keeps(p)) p.content.reset();
    }
    co_return;
  }
  co_await write_changed();
  pages_.clear();
}

asio::awaitable<void> page_redo::read_all(std::vector<page*> pages) {
  if (pages.empty()) co_return;
  std::sort(pages.begin(), pages.end(), [](const page* a, const page* b) {
    return std::tie(a->database->name, a->number) < std::tie(b->database->name, b->number);
  });
  const std::size_t many = std::min<std::size_t>(how_.reads, pages.size());
  const auto todo = std::make_shared<work>(std::move(pages));
  detail::task_group group(strand_);
  for (std::size_t i = 0; i < many; ++i) group.spawn(read_some(shared_from_this(), todo));
  co_await group.join();
}

asio::awaitable<void> page_redo::read_some(std::shared_ptr<page_redo> self, std::shared_ptr<work> todo) {
  while (page* p = todo->take()) {
    auto content = std::make_unique<page_buffer>(self->how_.page_size);
    const byte_span bytes = content->all();
    const asio::mutable_buffer into(bytes.data(), bytes.size());
    co_await p->database->file.read(p->number, into);
    ++self->pages_read;
    p->state = examine_page(bytes, p->number, p->database->from.what.database.random);
    if (p->state == page_state::good) {
      const page_header header = get_page_header(bytes);
      p->dbtime = header.dbtime;
      p->at = header.changed;
    }
    if (self->keeps(*p)) p->content = std::move(content);
    self->see_page_one(*p);
  }
}

void page_redo::see_page_one(page& p) const {
  if (p.number != 1 || p.state != page_state::good || !p.content) return;
  p.database->page_one_seen = true;
  p.database->pages = std::max(p.database->pages, bitmap_pages(p.content->all()));
}

// It may have been written and never have reached the disk: after a sync that failed the system shows it, takes it for clean, and tells the
// next sync that all is well.
void page_redo::write_again(page& p) noexcept { p.changed = true; }

void page_redo::forget(const recovered_database& d) {
  std::erase_if(pages_, [&d](const auto& one) { return one.first.database == &d; });
}

void page_redo::apply_one(const redo_change& c, page& p) {
  if (!c.database->takes_part) return;
  const bool readable = p.state == page_state::good;
  const bool torn = !readable && p.state != page_state::blank;
  if (c.change.kind == change_kind::delta) {
    if (torn) return;   // an image follows, or it is damage
    if (readable && p.dbtime >= c.change.after) return write_again(p);
    if (!readable || p.dbtime != c.change.before) {
      const bool old = !readable || p.dbtime < c.change.before;
      error_details details;
      details.operation = "redo a change of page " + std::to_string(p.number);
      details.file = p.database->name;
      details.offset = page_offset(p.number, how_.page_size);
      details.expected = "dbtime " + std::to_string(c.change.before) + ", to become " + std::to_string(c.change.after) + " (log generation " +
                         std::to_string(c.at.generation()) + ", byte " + std::to_string(c.at.offset()) + ")";
      details.found = readable ? std::to_string(p.dbtime) : "a page that was never written";
      error why(make_error_code(old ? errc::dbtime_too_old : errc::dbtime_too_new), std::move(details));
      if (mode_ == mode::write) throw why;   // it was proved, and has changed since
      return p.database->refuse(std::move(why));
    }
    if (p.content) apply_delta(c.change, p.content->all());
  } else {
    if (readable && p.dbtime >= c.change.after) return write_again(p);
    if (torn && mode_ != mode::write) ++pages_repaired;
    if (!p.content && keeps(p)) p.content = std::make_unique<page_buffer>(how_.page_size);
    if (p.content) make_page(c.change, p.database->from.what.database.random, p.content->all());
    p.state = page_state::good;
  }
  p.dbtime = c.change.after;
  p.at = c.at;
  p.changed = true;
  p.database->changed = true;
  if (mode_ != mode::write) ++applied;
  see_page_one(p);
}

void page_redo::require_readable() const {
  const page* first = nullptr;
  std::size_t count = 0;
  for (const auto& [k, p] : pages_) {
    if (p.state == page_state::good || p.state == page_state::blank || !p.database->takes_part) continue;
    ++count;
    const bool before = first == nullptr || std::tie(p.database->name, p.number) < std::tie(first->database->name, first->number);
    if (before) first = &p;
  }
  if (first == nullptr) return;
  std::string found = first->state == page_state::misplaced ? "a page of another place or database" : "a damaged page";
  if (count > 1) found += ", and " + std::to_string(count - 1) + " more pages";
  fail(first->state == page_state::misplaced ? errc::page_number_mismatch : errc::read_verify_failure, "recover database", first->database->name,
       page_offset(first->number, how_.page_size), "page " + std::to_string(first->number) + ", or its whole content in the log", std::move(found));
}

void page_redo::begin_second_pass() {
  mode_ = mode::write;
  pages_.clear();
}

asio::awaitable<void> page_redo::write_changed() {
  std::vector<page*> changed;
  for (auto& [k, p] : pages_) {
    if (p.changed) changed.push_back(&p);
  }
  if (changed.empty()) co_return;
  std::sort(changed.begin(), changed.end(), [](const page* a, const page* b) {
    return std::tie(a->database->name, a->number) < std::tie(b->database->name, b->number);
  });
  const std::size_t many = std::min<std::size_t>(how_.writes, changed.size());
  const auto todo = std::make_shared<work>(std::move(changed));
  detail::task_group group(strand_);
  for (std::size_t i = 0; i < many; ++i) group.spawn(write_some(shared_from_this(), todo));
  co_await group.join();
}

asio::awaitable<void> page_redo::write_some(std::shared_ptr<page_redo> self, std::shared_ptr<work> todo) {
  while (page* p = todo->take()) {
    const byte_span bytes = p->content->all();
    seal_page(bytes, p->at);
    const asio::const_buffer from(bytes.data(), bytes.size());
    co_await p->database->file.write(p->number, from);
    ++self->pages_written;
    p->changed = false;
  }
}

}  // namespace contrail::pagestore
