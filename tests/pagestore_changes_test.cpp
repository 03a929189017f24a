#include "engines/pagestore/format/log_record.hpp"

#include "support/pagestore_format.hpp"

#include <contrail/error.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

using namespace contrail::pagestore;

namespace {

constexpr std::array<std::uint32_t, 4> page_sizes{4096, 8192, 16384, 32768};
constexpr page_no page_number = 11;
constexpr std::uint64_t database_random = 0x77;
const std::vector<touched_database> one_database{{3, 20}};
constexpr std::size_t head_bytes = record_header_bytes + 8 + 16;   // of a commit on one database: its first change follows

/// Random numbers that a failed check tells the seed of.
class dice {
 public:
  explicit dice(std::uint64_t seed) : engine_(seed) {}
  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(engine_() % limit); }
  std::byte byte() { return static_cast<std::byte>(engine_() & 0xffU); }

 private:
  std::mt19937_64 engine_;
};

std::vector<std::byte> blank_page(std::uint32_t page_size) {
  std::vector<std::byte> page(page_size);
  page_header header;
  header.number = page_number;
  header.dbtime = 8;
  header.signature = database_random;
  put_page_header(page, header);
  return page;
}

/// Zeros and noise in stretches of any length.
std::vector<std::byte> random_page(dice& any, std::uint32_t page_size) {
  std::vector<std::byte> page = blank_page(page_size);
  const std::size_t longest = std::array<std::size_t, 3>{20, 500, page_size}[any.below(3)];
  bool noise = any.below(2) == 0;
  for (std::size_t at = page_header_bytes; at < page_size; noise = !noise) {
    const std::size_t end = std::min<std::size_t>(page_size, at + 1 + any.below(longest));
    for (; at < end; ++at) {
      page[at] = noise ? any.byte() : std::byte{0};
    }
  }
  return page;
}

void change_somewhere(dice& any, std::vector<std::byte>& page) {
  const std::size_t times = any.below(2) == 0 ? any.below(4) : any.below(300);
  const std::size_t longest = any.below(2) == 0 ? 8 : 1 + any.below(page.size());
  for (std::size_t i = 0; i < times; ++i) {
    const std::size_t at = page_header_bytes + any.below(page.size() - page_header_bytes);
    const std::size_t end = std::min(page.size(), at + 1 + any.below(longest));
    for (std::size_t k = at; k < end; ++k) {
      page[k] = any.below(8) == 0 ? page[k] : any.byte();
    }
  }
}

template <typename Build>
std::vector<std::byte> commit_of(const Build& build) {
  std::vector<std::byte> out;
  record_builder builder(out);
  builder.begin_commit(0, 1, one_database);
  build(builder);
  builder.finish();
  return out;
}

std::vector<std::byte> difference_of(const std::vector<std::byte>& old_page, const std::vector<std::byte>& page) {
  return commit_of([&](record_builder& builder) { builder.difference(3, page_number, 8, old_page, page); });
}

std::vector<std::byte> image_of(const std::vector<std::byte>& page) {
  return commit_of([&](record_builder& builder) { builder.image(3, page_number, 8, page); });
}

/// The only change of a commit, which refers to `record`.
page_change change_in(const std::vector<std::byte>& record, std::size_t page_size) {
  const std::optional<commit_record> commit = read_commit(record, static_cast<std::uint32_t>(page_size));
  REQUIRE(commit);
  REQUIRE(commit->changes.size() == 1);
  return commit->changes.front();
}

/// The page as it is with dbtime 20.
std::vector<std::byte> stamped(std::vector<std::byte> page) {
  page_header header = get_page_header(page);
  header.dbtime = 20;
  put_page_header(page, header);
  return page;
}

std::vector<std::byte> after(const page_change& change, std::vector<std::byte> old_page) {
  if (change.kind == change_kind::delta) {
    apply_delta(change, old_page);
  } else {
    std::fill(old_page.begin(), old_page.end(), std::byte{0xee});
    make_page(change, database_random, old_page);
  }
  return old_page;
}

std::size_t delta_bytes(const page_change& change) {
  std::size_t bytes = 0;
  for (const page_piece& piece : change.pieces) {
    bytes += 4 + piece.content.size();
  }
  return bytes;
}

std::size_t longest_zeros(const std::vector<std::byte>& page) {
  std::size_t longest = 0;
  std::size_t run = 0;
  for (std::size_t i = page_header_bytes; i < page.size(); ++i) {
    run = page[i] == std::byte{0} ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  return longest;
}

void set_bytes(std::vector<std::byte>& page, std::size_t at, std::size_t count, std::byte value = std::byte{0x5a}) {
  for (std::size_t i = at; i < at + count; ++i) {
    page.at(i) = value;
  }
}

/// The record of a delta with one piece of three bytes at 50, or of an image with a hole, with a field changed.
template <typename T>
bool reads_with(std::vector<std::byte> record, std::size_t at, T value) {
  store<T>(record, at, value);
  return read_commit(record, 4096).has_value();
}

}  // namespace

TEST_CASE("pagestore_changes: a difference applied to the old page gives the new one", "[pagestore_changes]") {
  std::size_t deltas = 0;
  std::size_t images = 0;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    CAPTURE(seed);
    dice any(seed);
    const std::uint32_t page_size = page_sizes[seed % 4];
    const std::vector<std::byte> old_page = random_page(any, page_size);
    std::vector<std::byte> page = old_page;
    change_somewhere(any, page);
    const std::vector<std::byte> record = difference_of(old_page, page);
    const page_change change = change_in(record, page_size);
    REQUIRE(after(change, old_page) == stamped(page));
    REQUIRE(record.size() <= head_bytes + largest_change(page_size));
    if (change.kind == change_kind::delta) {
      ++deltas;
      REQUIRE(delta_bytes(change) <= page_size / 4 * 3);
      for (std::size_t i = 1; i < change.pieces.size(); ++i) {
        REQUIRE(change.pieces[i].offset - (change.pieces[i - 1].offset + change.pieces[i - 1].content.size()) >= 8);
      }
    } else {
      ++images;
    }
  }
  CHECK(deltas > 100);
  CHECK(images > 20);
}

TEST_CASE("pagestore_changes: an image makes the page, without its longest run of zeros", "[pagestore_changes]") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    dice any(seed);
    const std::uint32_t page_size = page_sizes[seed % 4];
    const std::vector<std::byte> page = random_page(any, page_size);
    const std::vector<std::byte> record = image_of(page);
    const page_change change = change_in(record, page_size);
    REQUIRE(change.kind == change_kind::image);
    REQUIRE(change.hole_bytes == longest_zeros(page));
    REQUIRE(record.size() == head_bytes + padded(16 + 8 + page_size - page_header_bytes - change.hole_bytes));
    REQUIRE(after(change, page) == stamped(page));
  }
}

TEST_CASE("pagestore_changes: holes at the ends, over all, and none", "[pagestore_changes]") {
  for (const std::uint32_t page_size : page_sizes) {
    const std::vector<std::byte> zeros = blank_page(page_size);
    std::vector<std::byte> full = zeros;
    set_bytes(full, page_header_bytes, page_size - page_header_bytes);
    std::vector<std::byte> front = full;
    set_bytes(front, page_header_bytes, 100, std::byte{0});
    std::vector<std::byte> back = full;
    set_bytes(back, page_size - 100, 100, std::byte{0});
    const std::array<std::vector<std::byte>, 4> pages{zeros, full, front, back};
    const std::array<std::size_t, 4> holes{40, 40, 40, page_size - 100};
    const std::array<std::size_t, 4> lengths{page_size - 40, 0, 100, 100};
    for (std::size_t i = 0; i < pages.size(); ++i) {
      const std::vector<std::byte> record = image_of(pages[i]);
      const page_change change = change_in(record, page_size);
      CHECK(change.hole == holes[i]);
      CHECK(change.hole_bytes == lengths[i]);
      CHECK(after(change, pages[i]) == stamped(pages[i]));
      CHECK(record.size() <= head_bytes + largest_change(page_size));
    }
  }
}

TEST_CASE("pagestore_changes: differences closer than 8 bytes are one piece", "[pagestore_changes]") {
  const std::vector<std::byte> old_page = blank_page(4096);
  for (const std::size_t gap : {1U, 7U, 8U, 64U, 200U}) {
    CAPTURE(gap);
    std::vector<std::byte> page = old_page;
    set_bytes(page, 40, 2);
    set_bytes(page, 42 + gap, 1);
    const std::vector<std::byte> record = difference_of(old_page, page);
    const page_change change = change_in(record, 4096);
    REQUIRE(change.pieces.size() == (gap < 8 ? 1 : 2));
    CHECK(change.pieces.front().offset == 40);
    CHECK(change.pieces.front().content.size() == (gap < 8 ? 3 + gap : 2));
    CHECK(after(change, old_page) == stamped(page));
  }
}

TEST_CASE("pagestore_changes: a delta of more than three quarters of a page is an image, and so is a new kind", "[pagestore_changes]") {
  for (const std::uint32_t page_size : page_sizes) {
    const std::vector<std::byte> old_page = blank_page(page_size);
    std::vector<std::byte> page = old_page;
    set_bytes(page, 100, page_size / 4 * 3 - 4);
    CHECK(change_in(difference_of(old_page, page), page_size).kind == change_kind::delta);
    set_bytes(page, 100, page_size / 4 * 3 - 3);
    CHECK(change_in(difference_of(old_page, page), page_size).kind == change_kind::image);
  }
  const std::vector<std::byte> old_page = blank_page(4096);
  std::vector<std::byte> page = old_page;
  page_header header = get_page_header(page);
  header.kind = page_kind::bitmap;
  put_page_header(page, header);
  const std::vector<std::byte> record = difference_of(old_page, page);
  const page_change change = change_in(record, 4096);
  CHECK(change.kind == change_kind::image);
  CHECK(change.page == page_kind::bitmap);
  // Nothing but the page's header differs: no piece, and yet a new dbtime.
  const std::vector<std::byte> none = difference_of(old_page, stamped(old_page));
  CHECK(change_in(none, 4096).pieces.empty());
  CHECK(after(change_in(none, 4096), old_page) == stamped(old_page));
  CHECK(none.size() == head_bytes + 16);
}

TEST_CASE("pagestore_changes: six databases in a transaction; seven, one twice and unknown ones are refused", "[pagestore_changes]") {
  std::vector<std::byte> out;
  record_builder builder(out);
  std::vector<touched_database> databases;
  for (std::uint8_t id = 6; id >= 1; --id) {
    databases.push_back({id, 20});
  }
  builder.begin_commit(0, 1, databases);
  for (std::uint8_t id = 1; id <= 6; ++id) {
    builder.free(id, id, 19);
  }
  builder.free(6, largest_page_no, 0);
  builder.finish();
  const std::optional<commit_record> commit = read_commit(out, 4096);
  REQUIRE(commit);
  CHECK(commit->databases.size() == 6);
  CHECK(std::all_of(commit->changes.begin(), commit->changes.begin() + 6, [](const page_change& c) { return c.id == c.number; }));
  std::vector<std::byte> forged = out;
  store<std::uint16_t>(forged, 24, 7);
  CHECK_FALSE(read_commit(forged, 4096));
  databases.push_back({1, 20});
  CHECK_THROWS_AS(builder.begin_commit(0, 1, databases), contrail::error);
  databases.resize(2);
  databases[1].id = 6;
  CHECK_THROWS_AS(builder.begin_commit(0, 1, databases), contrail::error);
  databases[1].id = 7;
  CHECK_THROWS_AS(builder.begin_commit(0, 1, databases), contrail::error);
  databases[1].id = 0;
  CHECK_THROWS_AS(builder.begin_commit(0, 1, databases), contrail::error);
}

TEST_CASE("pagestore_changes: what a reader would refuse is not written", "[pagestore_changes]") {
  const std::vector<std::byte> page = blank_page(4096);
  std::vector<std::byte> trailer = page;
  page_header header = get_page_header(page);
  header.kind = page_kind::trailer;
  put_page_header(trailer, header);
  std::vector<std::byte> out;
  record_builder builder(out);
  CHECK_THROWS_AS(builder.begin_commit(4, 1, one_database), contrail::error);
  builder.begin_commit(0, 1, one_database);
  CHECK_THROWS_AS(builder.free(2, 11, 8), contrail::error);
  CHECK_THROWS_AS(builder.free(3, 0, 8), contrail::error);
  CHECK_THROWS_AS(builder.free(3, 0xffffffff, 8), contrail::error);
  CHECK_THROWS_AS(builder.free(3, 11, 20), contrail::error);
  CHECK_THROWS_AS(builder.image(3, 11, 8, trailer), contrail::error);
  CHECK_THROWS_AS(builder.image(3, 11, 8, const_byte_span(page).first(4095)), contrail::error);
  CHECK_THROWS_AS(builder.difference(3, 11, 8, const_byte_span(page).first(4095), page), contrail::error);
  CHECK_THROWS_AS(builder.format(3, 11, 8, page_kind::trailer), contrail::error);
  CHECK_THROWS_AS(builder.begin_plain(record_type::commit, 1), contrail::error);
  CHECK_THROWS_AS(builder.begin_plain(record_type::shutdown, 1, "text"), contrail::error);
  backup_event event;
  CHECK_THROWS_AS(builder.begin_backup(1, event), contrail::error);
  event.phase = 7;
  CHECK_THROWS_AS(builder.begin_backup(1, event), contrail::error);
  recovered_record recovered;
  recovered.databases = {{1, 1}, {1, 2}};
  CHECK_THROWS_AS(builder.begin_recovered(1, recovered), contrail::error);
}

TEST_CASE("pagestore_changes: the longest path of a database fits, a longer one is refused", "[pagestore_changes]") {
  database_record content;
  content.id = 6;
  content.page_size = 32768;
  content.pages = largest_page_no;
  content.dbtime = ~std::uint64_t{0};
  content.path.assign(longest_database_path, 'p');
  std::vector<std::byte> out;
  record_builder builder(out);
  builder.begin_database(record_type::create, 1, content);
  builder.finish();
  const std::optional<database_record> read = read_database_record(const_byte_span(out).first(load<std::uint32_t>(out, 8)));
  REQUIRE(read);
  CHECK(read->path == content.path);
  CHECK(read->pages == largest_page_no);
  content.path += 'p';
  CHECK_THROWS_AS(builder.begin_database(record_type::create, 1, content), contrail::error);
  CHECK_THROWS_AS(builder.begin_database(record_type::attach, 1, content), contrail::error);
  content.path.clear();
  CHECK_THROWS_AS(builder.begin_database(record_type::attach, 1, content), contrail::error);
  CHECK_NOTHROW(builder.begin_database(record_type::detach, 1, content));
  content.path = "p";
  content.page_size = 5000;
  CHECK_THROWS_AS(builder.begin_database(record_type::create, 1, content), contrail::error);
  content.page_size = 4096;
  content.pages = 0;
  CHECK_THROWS_AS(builder.begin_database(record_type::create, 1, content), contrail::error);
  CHECK_THROWS_AS(builder.begin_database(record_type::commit, 1, content), contrail::error);
}

TEST_CASE("pagestore_changes: fields that lead out of the record or the page are refused", "[pagestore_changes]") {
  const std::vector<std::byte> old_page = blank_page(4096);
  std::vector<std::byte> page = old_page;
  set_bytes(page, 50, 3);
  const std::vector<std::byte> delta = difference_of(old_page, page);
  constexpr std::size_t change = head_bytes;
  constexpr std::size_t piece = change + 16;
  REQUIRE(reads_with<std::uint16_t>(delta, piece, 4093));
  CHECK_FALSE(reads_with<std::uint16_t>(delta, piece, 4094));
  CHECK_FALSE(reads_with<std::uint16_t>(delta, piece, 39));
  CHECK_FALSE(reads_with<std::uint16_t>(delta, piece, 0xffff));
  CHECK_FALSE(reads_with<std::uint64_t>(delta, piece, 50));            // a piece of no byte, and then zeros
  CHECK_FALSE(reads_with<std::uint16_t>(delta, piece + 2, 2));        // then the padding is not zero
  CHECK_FALSE(reads_with<std::uint16_t>(delta, piece + 2, 5));
  CHECK_FALSE(reads_with<std::uint16_t>(delta, piece + 2, 0xffff));
  CHECK_FALSE(reads_with<std::uint16_t>(delta, change + 2, 0));
  CHECK_FALSE(reads_with<std::uint16_t>(delta, change + 2, 2));
  CHECK_FALSE(reads_with<std::uint16_t>(delta, change + 2, 0xffff));
  CHECK_FALSE(reads_with<std::uint8_t>(delta, change, 1));            // database
  CHECK_FALSE(reads_with<std::uint8_t>(delta, change + 1, 0));        // kind
  CHECK_FALSE(reads_with<std::uint8_t>(delta, change + 1, 5));
  CHECK_FALSE(reads_with<std::uint32_t>(delta, change + 4, 0));       // page
  CHECK_FALSE(reads_with<std::uint32_t>(delta, change + 4, 0xffffffff));
  CHECK_FALSE(reads_with<std::uint64_t>(delta, change + 8, 20));      // dbtime
  CHECK_FALSE(reads_with<std::uint16_t>(delta, 24, 0));               // databases
  CHECK_FALSE(reads_with<std::uint16_t>(delta, 24, 2));
  CHECK_FALSE(reads_with<std::uint16_t>(delta, 26, 1));
  CHECK_FALSE(reads_with<std::uint32_t>(delta, 28, 0));               // changes
  CHECK_FALSE(reads_with<std::uint32_t>(delta, 28, 2));
  CHECK_FALSE(reads_with<std::uint32_t>(delta, 28, 0xffffffff));
  CHECK_FALSE(reads_with<std::uint8_t>(delta, 32, 0));                // id
  CHECK_FALSE(reads_with<std::uint8_t>(delta, 32, 7));
  CHECK_FALSE(reads_with<std::uint8_t>(delta, 33, 1));
  CHECK_FALSE(read_commit(delta, 4095));
  CHECK_FALSE(read_commit(delta, 0));
  const std::vector<std::byte> image = image_of(page);
  constexpr std::size_t body = change + 16;
  REQUIRE(reads_with<std::uint16_t>(image, body + 2, 50));            // another page, but one
  CHECK_FALSE(reads_with<std::uint16_t>(image, body, 0));
  CHECK_FALSE(reads_with<std::uint16_t>(image, body, 4));
  CHECK_FALSE(reads_with<std::uint16_t>(image, body + 2, 39));
  CHECK_FALSE(reads_with<std::uint16_t>(image, body + 2, 4097));
  CHECK_FALSE(reads_with<std::uint16_t>(image, body + 4, 4044));
  CHECK_FALSE(reads_with<std::uint16_t>(image, body + 4, 0xffff));
  CHECK_FALSE(reads_with<std::uint16_t>(image, body + 6, 1));
  CHECK_FALSE(reads_with<std::uint16_t>(image, change + 2, 1));
  CHECK_FALSE(read_commit(image, 8192));                              // a page of another size
  const std::vector<std::byte> format = commit_of([](record_builder& b) { b.format(3, 11, 8, page_kind::data); });
  CHECK_FALSE(reads_with<std::uint16_t>(format, body, 0));
  CHECK_FALSE(reads_with<std::uint16_t>(format, body, 4));
  CHECK_FALSE(reads_with<std::uint16_t>(format, body + 2, 1));
}
