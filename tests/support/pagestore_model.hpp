#pragma once

#include <contrail/engines/pagestore/types.hpp>
#include "engines/pagestore/format/database_header.hpp"
#include "engines/pagestore/format/log_header.hpp"
#include "engines/pagestore/format/log_sector.hpp"
#include "engines/pagestore/format/page.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

/// What a store must hold: the committed states, and which of them may be what a crash leaves.
namespace pagestore_world {

using namespace contrail::pagestore;

/// Number of the database in the model, and page.
using key = std::pair<unsigned, page_no>;
/// Which page has which content: a stamp; what is missing is not allocated.
using state = std::map<key, std::uint64_t>;

/// One committed transaction.
struct step {
  step() = default;
  lgpos at;
  std::map<key, std::optional<std::uint64_t>> changes;   ///< nothing: freed
  std::set<key> allocated;                               ///< of these
};

/// Something that must never be.
class broken : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

inline std::string describe_difference(const state& expected, const state& found) {
  std::ostringstream text;
  text << "; against the last:";
  for (const auto& [k, v] : expected) {
    const auto f = found.find(k);
    if (f == found.end()) text << " -" << k.first << '/' << k.second;
    else if (f->second != v) text << " !" << k.first << '/' << k.second;
  }
  for (const auto& [k, v] : found)
    if (expected.count(k) == 0) text << " +" << k.first << '/' << k.second;
  return text.str();
}

/// The committed states since the last look, and how far they are known to be on the disk.
class model {
 public:
  void remember(lgpos at, step mine) {
    mine.at = at;
    history_.emplace(at, std::move(mine));
  }
  void confirm(lgpos at) { confirmed_ = std::max(confirmed_, at); }
  void confirm_all() {
    if (!history_.empty()) confirm(history_.rbegin()->first);
  }
  /// A commit that was asked for and has not answered; only while nobody else commits. Where its record stands is not known.
  void expect(step mine) { pending_ = std::move(mine); }
  void expect_nothing() { pending_.reset(); }
  lgpos last() const { return history_.empty() ? lgpos{} : history_.rbegin()->first; }

  /// All pages that it knows anything of.
  std::set<key> touched() const {
    std::set<key> out;
    for (const auto& [k, stamp] : base_) out.insert(k);
    for (const auto& [p, one] : history_)
      for (const auto& [k, stamp] : one.changes) out.insert(k);
    if (pending_)
      for (const auto& [k, stamp] : pending_->changes) out.insert(k);
    return out;
  }
  /// What is committed now, as this process knows it.
  state newest() const {
    state s = base_;
    for (const auto& [p, one] : history_) apply(s, one);
    return s;
  }
  /// The database is gone, and nobody is to miss it.
  void forget(unsigned database) {
    std::erase_if(base_, [=](const auto& one) { return one.first.first == database; });
    for (auto& [p, one] : history_) std::erase_if(one.changes, [=](const auto& c) { return c.first.first == database; });
    if (pending_) std::erase_if(pending_->changes, [=](const auto& c) { return c.first.first == database; });
  }
  /// It has this content from now on, and what it went through does not count: a copy was put in its place.
  void put_back(unsigned database, const state& content) {
    forget(database);
    base_.insert(content.begin(), content.end());
  }
  /// Some state k, from the last that was confirmed to the last that was committed. Which one is fixed from now on.
  void settle(const state& found) {
    state s = base_;
    const std::vector<std::pair<lgpos, step>> list(history_.begin(), history_.end());
    bool met = (list.empty() || list.front().first > confirmed_) && s == found;
    for (std::size_t i = 0; i < list.size(); ++i) {
      apply(s, list[i].second);
      const bool next_confirmed = i + 1 < list.size() && list[i + 1].first <= confirmed_;
      met = met || (!next_confirmed && s == found);
    }
    state last = s;
    if (!met && pending_) {
      apply(last, *pending_);
      met = last == found;
    }
    if (!met) {
      std::ostringstream text;
      text << "no committed state: " << found.size() << " pages; confirmed up to " << std::hex << confirmed_.value << ", history";
      for (const auto& [p, one] : list) text << ' ' << p.value;
      if (pending_) text << ", and one without an answer";
      text << describe_difference(s, found);
      throw broken(text.str());
    }
    base_ = found;
    history_.clear();
    pending_.reset();
    confirmed_ = lgpos{};
  }

 private:
  static void apply(state& s, const step& one) {
    for (const auto& [k, stamp] : one.changes) {
      if (stamp) s[k] = *stamp;
      else s.erase(k);
    }
  }

  state base_;                         ///< at the last look
  std::map<lgpos, step> history_;      ///< since then
  lgpos confirmed_;
  std::optional<step> pending_;
};

/// What a page with a stamp holds: the stamp in three places, so that half of a write is seen.
constexpr std::size_t stamp_places[] = {0, 1500, 4000};
constexpr std::uint32_t model_page_bytes = 4096;

/// A database's file, as it lies there.
struct raw_database {
  raw_database() = default;
  std::optional<database_header> header;
  std::map<page_no, std::uint64_t> pages;   ///< stamps of those that are allocated
  bool sound = true;                        ///< all pages are
};

inline const_byte_span bytes_of(const std::string& content) { return {reinterpret_cast<const std::byte*>(content.data()), content.size()}; }

inline raw_database look_at_database(const std::string& content) {
  raw_database out;
  const const_byte_span all = bytes_of(content);
  for (const std::size_t at : {std::size_t{0}, std::size_t{model_page_bytes}}) {
    if (all.size() < at + model_page_bytes) break;
    const std::optional<database_header> copy = decode_header(all.subspan(at));
    if (copy && (!out.header || copy->update > out.header->update)) out.header = copy;
  }
  if (!out.header) return out;
  for (page_no n = 1; page_offset(n, model_page_bytes) + model_page_bytes <= all.size(); ++n) {
    const const_byte_span page = all.subspan(page_offset(n, model_page_bytes), model_page_bytes);
    const page_state found = examine_page(page, n, out.header->database.random);
    if (found == page_state::blank) continue;
    if (found != page_state::good) {
      out.sound = false;
      continue;
    }
    if (get_page_header(page).kind != page_kind::data) continue;
    std::uint64_t stamp = 0;
    std::memcpy(&stamp, page.data() + page_header_bytes, sizeof stamp);
    out.pages.emplace(n, stamp);
  }
  return out;
}

/// Pages with data in them, sound or not.
inline std::vector<page_no> data_pages(const std::string& content) {
  std::vector<page_no> out;
  const const_byte_span all = bytes_of(content);
  for (page_no n = 1; page_offset(n, model_page_bytes) + model_page_bytes <= all.size(); ++n)
    if (get_page_header(all.subspan(page_offset(n, model_page_bytes), model_page_bytes)).kind == page_kind::data) out.push_back(n);
  return out;
}

/// Does the current log hold parts of a batch, and not all of it? Are there sectors of an earlier use of the file?
struct raw_log {
  bool torn = false;
  bool stale = false;
};

inline raw_log look_at_log(const std::string& content) {
  raw_log out;
  const const_byte_span all = bytes_of(content);
  if (all.size() < log_header_bytes) return out;
  const std::optional<log_header> header = decode_log_header(all.first(log_header_bytes));
  if (!header) return out;
  std::map<std::uint32_t, std::pair<std::uint32_t, std::uint32_t>> batches;
  for (std::uint32_t i = first_sector; (i + 1) * sector_bytes <= all.size(); ++i) {
    sector_header h;
    const sector_state found = examine_sector(all.subspan(i * sector_bytes, sector_bytes), header->generation, i, header->log.random, h);
    out.stale = out.stale || found == sector_state::stale;
    if (found != sector_state::current) continue;
    ++batches[h.batch].first;
    batches[h.batch].second = h.sectors_in_batch;
  }
  for (const auto& [n, parts] : batches) out.torn = out.torn || parts.first != parts.second;
  return out;
}

}  // namespace pagestore_world
