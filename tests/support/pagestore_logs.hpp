#pragma once

#include <contrail/engines/pagestore/parameters.hpp>
#include <contrail/io/simulated_disk.hpp>
#include "engines/pagestore/format/bitmap.hpp"
#include "engines/pagestore/format/checkpoint.hpp"
#include "engines/pagestore/format/database_header.hpp"
#include "engines/pagestore/format/log_header.hpp"
#include "engines/pagestore/format/log_names.hpp"
#include "engines/pagestore/format/log_record.hpp"
#include "engines/pagestore/format/log_sector.hpp"
#include "engines/pagestore/format/page.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

/// Logs and databases as an engine would leave them, made without one: what was committed, and what of it has reached the files, are told one
/// by one. Everything stands below /store.
namespace pagestore_logs {

namespace ps = contrail::pagestore;
using bytes = std::vector<std::byte>;

inline std::string text(const bytes& b) { return std::string(reinterpret_cast<const char*>(b.data()), b.size()); }
inline bytes raw(const std::string& s) {
  bytes out(s.size());
  std::memcpy(out.data(), s.data(), s.size());
  return out;
}

inline ps::parameters how() {
  ps::parameters out;
  out.directory = "/store";
  out.page_size = 4096;
  out.log_file_size = 128U << 10U;
  out.log_write_unit = 512;
  out.cache_size = 4096;
  out.growth = 16;
  return out;
}

/// The log: records go into a batch, batches into a generation.
class log_set {
 public:
  explicit log_set(ps::parameters p, std::uint64_t random = 77, std::uint32_t first = 1) : p_(std::move(p)) {
    signature.random = random;
    signature.created = random + 1;
    start(first);
  }

  ps::lgpos tip() const { return place(payload_.size()); }
  /// Adds what `build` makes with a record_builder.
  template <typename Build>
  ps::lgpos add(Build build) {
    const std::size_t begin = payload_.size();
    ps::record_builder builder(payload_);
    build(builder);
    builder.finish();
    const ps::lgpos at = place(begin);
    ps::seal_record(ps::byte_span(payload_).subspan(begin), at);
    return at;
  }
  ps::lgpos plain(ps::record_type type) {
    return add([type](ps::record_builder& b) { b.begin_plain(type, 5); });
  }
  ps::lgpos about_database(ps::record_type type, const ps::database_record& what) {
    return add([&](ps::record_builder& b) { b.begin_database(type, 5, what); });
  }
  /// Ends the batch.
  void batch() {
    if (payload_.empty()) return;
    const bytes sectors = sealed_batch();
    std::copy(sectors.begin(), sectors.end(), file_.begin() + next_sector_ * 512);
    next_sector_ += static_cast<std::uint32_t>(sectors.size() / 512);
    chain_ = next_chain_;
    ++batch_;
    payload_.clear();
  }
  /// What `batch` would write, at `next_offset`.
  bytes sealed_batch() {
    bytes out;
    next_chain_ = chain_;
    ps::encode_batch(payload_, header_.generation, next_sector_, batch_ + 1, p_.log_write_unit, signature.random, next_chain_, out);
    return out;
  }
  void forget_batch() { payload_.clear(); }
  std::uint32_t next_offset() const { return next_sector_ * 512; }
  bool roomy(std::size_t more) const { return std::size_t{next_sector_} * 512 + (payload_.size() + more) * 512 / 480 + 4096 < file_.size(); }
  void close_generation() {
    plain(ps::record_type::end_of_generation);
    batch();
  }
  void roll() {
    close_generation();
    files[header_.generation] = file_;
    start(header_.generation + 1);
  }
  std::uint32_t generation() const { return header_.generation; }
  bytes& current() { return file_; }
  const ps::log_header& header() const { return header_; }

  void put(contrail::io::simulated_disk& disk) const {
    for (const auto& [g, content] : files) disk.write_file("/store/" + ps::log_name("edb", g), text(content));
    disk.write_file("/store/edb.log", text(file_));
  }

  ps::signature signature;
  std::vector<ps::attached_database> attached;   ///< for the next header
  std::map<std::uint32_t, bytes> files;          ///< those that have a number

 private:
  void start(std::uint32_t generation) {
    ps::log_header h;
    h.page_size = p_.page_size;
    h.file_bytes = p_.log_file_size;
    h.log = signature;
    h.generation = generation;
    h.created = 1000 + generation;
    if (header_.generation != 0) {
      h.previous_end = next_offset();
      h.previous_created = header_.created;
      h.previous_chain = chain_;
    }
    std::memcpy(h.base_name.data(), "edb", 3);
    h.write_unit = p_.log_write_unit;
    h.attached = attached;
    file_.assign(p_.log_file_size, std::byte{0});
    ps::encode_log_header(h, ps::byte_span(file_).first(ps::log_header_bytes));
    chain_ = ps::first_chain(ps::const_byte_span(file_).first(ps::log_header_bytes));
    header_ = h;
    next_sector_ = ps::first_sector;
    batch_ = 0;
  }
  ps::lgpos place(std::size_t at) const {
    return ps::make_lgpos(header_.generation, (next_sector_ + static_cast<std::uint32_t>(at / 480)) * 512 + 32 + static_cast<std::uint32_t>(at % 480));
  }

  ps::parameters p_;
  ps::log_header header_;
  bytes file_;
  bytes payload_;
  std::uint32_t next_sector_ = ps::first_sector;
  std::uint32_t batch_ = 0;
  std::uint64_t chain_ = 0, next_chain_ = 0;
};

/// A database: what is committed, and its file.
class known_database {
 public:
  known_database(std::uint8_t id, std::string name, std::uint32_t pages, std::uint32_t page_size = 4096) : page_size_(page_size) {
    what.id = id;
    what.database.random = 1000U + id;
    what.database.created = 2000U + id;
    what.path = std::move(name);
    header.page_size = page_size;
    header.update = 4;
    header.database = what.database;
    header.id = id;
    dbtime = 1;
    set_pages(pages);
    ps::page_header first;
    first.number = 1;
    first.kind = ps::page_kind::bitmap;
    first.dbtime = dbtime;
    first.signature = what.database.random;
    ps::put_page_header(now[1], first);
    ps::set_bitmap_pages(now[1], pages);
    ps::bitmap_set(now[1], 1, page_size, true);
    write(1);
  }
  void set_pages(std::uint32_t pages) {
    header.pages = pages;
    for (ps::page_no n = 1; n <= pages; ++n) {
      now.try_emplace(n, bytes(page_size_));
      file.try_emplace(n, bytes(page_size_));
    }
  }
  std::uint64_t dbtime_of(ps::page_no n) const { return ps::get_page_header(now.at(n)).dbtime; }
  /// The page as the file would have it.
  bytes sealed(ps::page_no n) const {
    bytes out = now.at(n);
    if (!ps::all_zero(out)) ps::seal_page(ps::byte_span(out));
    return out;
  }
  void write(ps::page_no n) { file[n] = sealed(n); }
  void write_all() {
    for (const auto& [n, content] : now) write(n);
  }
  ps::database_record record() const {
    ps::database_record out;
    out.id = static_cast<std::uint8_t>(what.id);
    out.database = what.database;
    out.page_size = page_size_;
    out.pages = header.pages;
    out.dbtime = dbtime;
    out.cleaned = header.cleaned;
    out.log = header.log;
    out.path = what.path;
    return out;
  }
  ps::attached_database listed() const {
    ps::attached_database out = what;
    out.dbtime = dbtime;
    return out;
  }
  std::string image(std::uint32_t file_pages = 0xffffffff) const { return image_of(file, file_pages); }
  std::string image_of(const std::map<ps::page_no, bytes>& pages, std::uint32_t file_pages = 0xffffffff) const {
    bytes head(page_size_);
    ps::encode_header(header, head);
    std::string out = text(head) + text(head);
    for (const auto& [n, content] : pages) {
      if (n <= file_pages) out += text(content);
    }
    return out;
  }
  void put(contrail::io::simulated_disk& disk) const { disk.write_file("/store/" + what.path, image()); }
  /// The pages of a file, from the first on.
  std::string committed() const {
    std::string out;
    for (const auto& [n, content] : now) out += text(sealed(n));
    return out;
  }

  ps::attached_database what;
  ps::database_header header;
  std::uint64_t dbtime = 0;
  std::uint64_t horizon = 0;                 ///< H: pages up to this dbtime are logged as images
  std::map<ps::page_no, bytes> now, file;

 private:
  std::uint32_t page_size_;
};

struct edit {
  edit() = default;
  edit(known_database& s, ps::page_no n, ps::change_kind k, std::string c = {}, std::size_t at = 100) : in(&s), page(n), kind(k), content(std::move(c)), offset(at) {}
  known_database* in = nullptr;
  ps::page_no page = 0;
  ps::change_kind kind = ps::change_kind::delta;
  std::string content;
  std::size_t offset = 100;
};

/// One transaction: changes the committed state, and is in the log's batch.
inline ps::lgpos commit(log_set& log, const std::vector<edit>& edits) {
  std::vector<ps::touched_database> touched;
  for (const edit& e : edits) {
    bool known = false;
    for (const ps::touched_database& t : touched) known = known || t.id == e.in->what.id;
    if (known) continue;
    ps::touched_database t;
    t.id = static_cast<std::uint8_t>(e.in->what.id);
    t.dbtime = ++e.in->dbtime;
    touched.push_back(t);
  }
  const auto build = [&](ps::record_builder& b) {
    b.begin_commit(ps::record_durable, 9, touched);
    for (const edit& e : edits) {
      bytes& page = e.in->now.at(e.page);
      const bytes old = page;
      const auto id = static_cast<std::uint8_t>(e.in->what.id);
      ps::page_header header = ps::get_page_header(old);
      const std::uint64_t before = header.dbtime;
      header.number = e.page;
      header.dbtime = e.in->dbtime;
      header.signature = e.in->what.database.random;
      if (e.kind == ps::change_kind::format || e.kind == ps::change_kind::free) {
        page.assign(page.size(), std::byte{0});
        header.kind = e.kind == ps::change_kind::free ? ps::page_kind::free : ps::page_kind::data;
      } else {
        std::memcpy(page.data() + e.offset, e.content.data(), e.content.size());
        if (ps::all_zero(old)) header.kind = ps::page_kind::data;
      }
      ps::put_page_header(page, header);
      if (e.kind == ps::change_kind::image) b.image(id, e.page, before, page);
      if (e.kind == ps::change_kind::delta) b.difference(id, e.page, before, old, page);
      if (e.kind == ps::change_kind::format) b.format(id, e.page, before, header.kind);
      if (e.kind == ps::change_kind::free) b.free(id, e.page, before);
    }
  };
  const ps::lgpos at = log.add(build);
  for (const edit& e : edits) {
    ps::page_header header = ps::get_page_header(e.in->now.at(e.page));
    header.changed = at;
    ps::put_page_header(e.in->now.at(e.page), header);
  }
  return at;
}

inline std::string checkpoint_file(const ps::checkpoint_block& block) {
  bytes out(ps::checkpoint_bytes);
  ps::encode_checkpoint(block, out);
  return text(out) + text(out);
}

/// Two databases in use: a log, a checkpoint, and what a crash has left of the last batch.
class scene {
 public:
  explicit scene(const ps::parameters& with = how()) : p(with), log(with), one(1, "one.db", 40), two(2, "sub/two.db", 24) {
    for (known_database* s : {&one, &two}) {
      const ps::lgpos at = log.about_database(ps::record_type::attach, s->record());
      log.batch();
      s->horizon = s->dbtime;
      s->header.log = log.signature;
      s->header.state = ps::database_state::dirty;
      s->header.min_required = s->header.max_required = s->header.max_committed = log.generation();
      s->header.attached = at;
      s->header.dbtime = s->dbtime;
      log.attached.push_back(s->listed());
    }
    note();
    publish();
  }

  /// R: here.
  void note() {
    log.batch();
    checkpoint.page_size = p.page_size;
    checkpoint.log = log.signature;
    checkpoint.redo = log.tip();
    std::memcpy(checkpoint.base_name.data(), "edb", 3);
    checkpoint.attached.clear();
    for (known_database* s : {&one, &two}) {
      s->horizon = s->dbtime;
      checkpoint.attached.push_back(s->listed());
    }
  }
  void publish() {
    ++checkpoint.update;
    for (known_database* s : {&one, &two}) {
      s->header.redo = checkpoint.redo;
      s->header.min_required = std::max(s->header.min_required, checkpoint.redo.generation());
      s->header.dbtime = std::max(s->header.dbtime, s->dbtime);
    }
    published = checkpoint;
  }
  void round() {
    note();
    one.write_all();
    two.write_all();
    publish();
  }
  void roll() {
    log.attached.clear();
    for (known_database* s : {&one, &two}) log.attached.push_back(s->listed());
    log.roll();
    for (known_database* s : {&one, &two}) s->header.max_required = s->header.max_committed = log.generation();
  }
  /// As the image rule says.
  edit change(known_database& s, ps::page_no n, std::string content, std::size_t at = 100) const {
    return edit(s, n, s.dbtime_of(n) <= s.horizon ? ps::change_kind::image : ps::change_kind::delta, std::move(content), at);
  }
  void put(contrail::io::simulated_disk& disk) const {
    log.put(disk);
    one.put(disk);
    two.put(disk);
    disk.write_file("/store/edb.chk", checkpoint_file(published));
  }
  contrail::io::simulated_disk disk() const {
    contrail::io::disk_options options;
    options.patience = 3;
    contrail::io::simulated_disk out(options);
    put(out);
    return out;
  }

  ps::parameters p;
  log_set log;
  known_database one, two;
  ps::checkpoint_block checkpoint, published;
};

/// Some history: transactions of all kinds, pages that are written, rolls and rounds. Ends with a whole batch.
inline void live(scene& s, std::uint64_t seed, unsigned steps) {
  std::mt19937_64 random(seed);
  const auto any = [&](std::uint64_t n) { return random() % n; };
  for (unsigned i = 0; i < steps; ++i) {
    std::vector<edit> edits;
    for (known_database* d : {&s.one, &s.two}) {
      if (any(3) == 0) continue;
      std::vector<ps::page_no> used;
      for (std::uint64_t k = any(3); k < 3; ++k) {
        const auto n = static_cast<ps::page_no>(2 + any(d->header.pages - 1));
        if (std::find(used.begin(), used.end(), n) != used.end()) continue;
        used.push_back(n);
        const bool blank = ps::all_zero(d->now.at(n));
        const bool freed = !blank && ps::get_page_header(d->now.at(n)).kind == ps::page_kind::free;
        if (blank || freed) edits.emplace_back(*d, n, ps::change_kind::format);
        else if (any(12) == 0) edits.emplace_back(*d, n, ps::change_kind::free);
        else edits.push_back(s.change(*d, n, std::string(1 + any(900), static_cast<char>('a' + any(26))), 40 + any(3000)));
      }
    }
    if (!s.log.roomy(40'000)) {
      s.log.batch();
      s.roll();
    }
    if (!edits.empty()) commit(s.log, edits);
    if (any(3) == 0) s.log.batch();
    if (any(4) == 0) {
      s.log.batch();
      for (known_database* d : {&s.one, &s.two}) d->write(static_cast<ps::page_no>(1 + any(d->header.pages)));
    }
    if (any(25) == 0) s.round();
  }
  s.log.batch();
}

}  // namespace pagestore_logs
