#include "engines/pagestore/format/log_record.hpp"

#include "support/pagestore_format.hpp"

#include <contrail/error.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

// The known bytes were worked out from the tables of the format by another program with another XXH3.

using namespace contrail::pagestore;
using contrail::test::flips_not_found;
using contrail::test::golden;

namespace {

constexpr lgpos place = make_lgpos(10, 0x1020);
constexpr std::uint64_t time_of_all = 0x0807060504030201;
constexpr signature database_signature{0x0102030405060708, 0x1112131415161718};
const std::vector<touched_database> two_databases{{2, 77}, {5, 12}};

template <typename Build>
std::vector<std::byte> record_of(const Build& build) {
  std::vector<std::byte> out;
  record_builder builder(out);
  build(builder);
  const std::size_t length = builder.finish();
  CHECK(length == out.size());
  CHECK(length % 8 == 0);
  seal_record(out, place);
  return out;
}

std::vector<std::byte> blank_page(page_no number, page_kind kind = page_kind::data) {
  std::vector<std::byte> page(4096);
  page_header header;
  header.number = number;
  header.kind = kind;
  put_page_header(page, header);
  return page;
}

std::vector<std::byte> commit_sample() {
  return record_of([](record_builder& builder) {
    builder.begin_commit(record_durable | record_engine, time_of_all, two_databases);
    std::vector<std::byte> page = blank_page(9);
    put_text(page, page_header_bytes, "abc");
    put_text(page, 4092, "tail");
    builder.image(2, 9, 70, page);
    const std::vector<std::byte> old_page = blank_page(11);
    page = old_page;
    put_text(page, 50, "xyz");
    put_text(page, 4095, "!");
    builder.difference(5, 11, 8, old_page, page);
    builder.format(2, 12, 0, page_kind::bitmap);
    builder.free(5, 13, 11);
  });
}

database_record database_sample(record_type type) {
  database_record content;
  content.id = 4;
  content.database = database_signature;
  if (type == record_type::create) {
    content.page_size = 8192;
    content.pages = 16;
  }
  if (type != record_type::detach) {
    content.dbtime = 3;
    content.cleaned = make_lgpos(2, 0x1020);
    content.log = signature{11, 12};
    content.path = "/a.edb";
  }
  return content;
}

std::vector<std::byte> database_sample_record(record_type type) {
  return record_of([type](record_builder& builder) { builder.begin_database(type, time_of_all, database_sample(type)); });
}

backup_event backup_sample() {
  backup_event event;
  event.phase = 4;
  event.scope = 1;
  event.type = 2;
  event.id = 3;
  event.mark = make_lgpos(9, 0x1020).value;
  event.time = 1000;
  event.low = 7;
  event.high = 9;
  return event;
}

recovered_record recovered_sample() {
  recovered_record content;
  content.end = make_lgpos(10, 0x1000);
  content.databases = two_databases;
  return content;
}

/// One of each type.
std::vector<std::vector<std::byte>> all_samples() {
  return {commit_sample(),
          database_sample_record(record_type::create),
          database_sample_record(record_type::attach),
          database_sample_record(record_type::detach),
          record_of([](record_builder& builder) { builder.begin_plain(record_type::shutdown, time_of_all); }),
          record_of([](record_builder& builder) { builder.begin_recovered(time_of_all, recovered_sample()); }),
          record_of([](record_builder& builder) { builder.begin_plain(record_type::start, time_of_all, "contrail 1"); }),
          record_of([](record_builder& builder) { builder.begin_plain(record_type::end_of_generation, time_of_all); }),
          record_of([](record_builder& builder) { builder.begin_backup(time_of_all, backup_sample()); })};
}

/// The record without its padding.
const_byte_span body_of(const std::vector<std::byte>& record) {
  return const_byte_span(record).first(load<std::uint32_t>(record, 8));
}

template <typename T>
std::vector<std::byte> with(std::vector<std::byte> record, std::size_t at, T value) {
  store<T>(record, at, value);
  return record;
}

}  // namespace

TEST_CASE("pagestore_records: the bytes of one record of each type", "[pagestore_records]") {
  const std::vector<std::vector<std::byte>> samples = all_samples();
  const std::vector<std::vector<std::byte>> known{
      golden(168, {{0, "c557a27f716ef0f0a80000000103000001020304050607080200000004000000"},
                   {32, "02000000000000004d0000000000000005000000000000000c00000000000000"},
                   {64, "0001000009000000460000000000000001002b00d10f00006162637461696c00"},
                   {96, "010202000b00000008000000000000003200030078797aff0f01002100000000"},
                   {128, "000300000c00000000000000000000000200000000000000"},
                   {152, "010400000d0000000b00000000000000"}}),
      golden(96, {{0, "440ed875d2df7b5c5e00000002000000010203040506070804000000002000000807060504030201"},
                  {40, "18171615141312110300000000000000100000000600000020100000020000000b000000000000000c000000000000002f612e656462"}}),
      golden(96, {{0, "7077ec54c5aad1485e00000003000000010203040506070804000000000000000807060504030201"},
                  {40, "18171615141312110300000000000000000000000600000020100000020000000b000000000000000c000000000000002f612e656462"}}),
      golden(48, {{0, "ff806e85eda398e730000000040000000102030405060708040000000000000008070605040302011817161514131211"}}),
      golden(24, {{0, "6b18604a8d1fdea618000000050000000102030405060708"}}),
      golden(72, {{0, "d8d9855fc2bcb6ea48000000060000000102030405060708001000000a000000020000000000000002"},
                  {48, "4d0000000000000005000000000000000c"}}),
      golden(40, {{0, "fa1ba8aca49fe4c322000000070000000102030405060708636f6e747261696c2031"}}),
      golden(24, {{0, "b144a6e12886f08218000000080000000102030405060708"}}),
      golden(56, {{0, "ba83a978c413b025380000003c000000010203040506070804010203000000002010000009000000e803000000000000"},
                  {48, "0700000009"}})};
  REQUIRE(samples.size() == known.size());
  for (std::size_t i = 0; i < known.size(); ++i) {
    CAPTURE(i);
    CHECK(samples[i] == known[i]);
  }
}

TEST_CASE("pagestore_records: a record is whole at its place, with each bit as it was, or it is nothing", "[pagestore_records]") {
  for (const std::vector<std::byte>& record : all_samples()) {
    const auto type = load<std::uint8_t>(record, 12);
    CAPTURE(type);
    const std::optional<record_header> header = read_record(record, place);
    REQUIRE(header);
    CHECK(padded(header->length) == record.size());
    CHECK(static_cast<std::uint8_t>(header->type) == type);
    CHECK(header->time == time_of_all);
    CHECK(header->flags == (header->type == record_type::commit ? 3 : 0));
    CHECK_FALSE(read_record(record, make_lgpos(10, 0x1028)));
    CHECK_FALSE(read_record(record, make_lgpos(11, 0x1020)));
    bool cut_read = false;
    for (std::size_t size = 0; size < record.size(); ++size) {
      cut_read = cut_read || read_record(const_byte_span(record).first(size), place).has_value();
    }
    CHECK_FALSE(cut_read);
    CHECK(flips_not_found(record, [](const_byte_span r) { return !read_record(r, place); }) == 0);
    std::vector<std::byte> more = record;
    more.resize(record.size() + 100, std::byte{0xcc});
    CHECK(read_record(more, place));
    using field = std::pair<std::size_t, std::uint8_t>;   // offset, value
    for (const auto& [at, value] : {field{12, 0}, field{12, 9}, field{12, 59}, field{12, 61}, field{13, 4}, field{14, 1}, field{15, 1}}) {
      std::vector<std::byte> forged = with(record, at, value);
      seal_record(forged, place);
      CHECK_FALSE(read_record(forged, place));
    }
    for (const std::uint32_t length : {0U, 23U, 0x7fffffffU, 0xfffffff8U, 0xffffffffU}) {
      CHECK_FALSE(read_record(with(record, 8, length), place));
    }
  }
}

TEST_CASE("pagestore_records: a transaction is read as it was written", "[pagestore_records]") {
  const std::vector<std::byte> record = commit_sample();
  const std::optional<commit_record> commit = read_commit(body_of(record), 4096);
  REQUIRE(commit);
  REQUIRE(commit->databases.size() == 2);
  CHECK(commit->databases[0].id == 2);
  CHECK(commit->databases[0].dbtime == 77);
  CHECK(commit->databases[1].id == 5);
  CHECK(commit->databases[1].dbtime == 12);
  REQUIRE(commit->changes.size() == 4);
  const page_change& image = commit->changes[0];
  CHECK((image.id == 2 && image.kind == change_kind::image && image.number == 9 && image.before == 70 && image.after == 77));
  CHECK((image.page == page_kind::data && image.hole == 43 && image.hole_bytes == 4049 && image.head.size() == 3 && image.tail.size() == 4));
  const page_change& delta = commit->changes[1];
  CHECK((delta.id == 5 && delta.kind == change_kind::delta && delta.number == 11 && delta.before == 8 && delta.after == 12));
  REQUIRE(delta.pieces.size() == 2);
  CHECK((delta.pieces[0].offset == 50 && delta.pieces[0].content.size() == 3));
  CHECK((delta.pieces[1].offset == 4095 && delta.pieces[1].content.size() == 1));
  const page_change& format = commit->changes[2];
  CHECK((format.id == 2 && format.kind == change_kind::format && format.number == 12 && format.before == 0 && format.after == 77));
  CHECK(format.page == page_kind::bitmap);
  const page_change& freed = commit->changes[3];
  CHECK((freed.id == 5 && freed.kind == change_kind::free && freed.number == 13 && freed.before == 11 && freed.after == 12));
  CHECK(freed.page == page_kind::free);
}

TEST_CASE("pagestore_records: pages are made by images, formats and frees", "[pagestore_records]") {
  const std::vector<std::byte> record = commit_sample();
  const std::optional<commit_record> commit = read_commit(body_of(record), 4096);
  REQUIRE(commit);
  const std::array<page_kind, 4> kinds{page_kind::data, page_kind::data, page_kind::bitmap, page_kind::free};
  for (const std::size_t i : {0U, 2U, 3U}) {
    std::vector<std::byte> page(4096, std::byte{0xaa});
    make_page(commit->changes[i], 0x99, page);
    const page_header header = get_page_header(page);
    CHECK(header.number == commit->changes[i].number);
    CHECK(header.kind == kinds[i]);
    CHECK(header.dbtime == commit->changes[i].after);
    CHECK(header.changed == lgpos{});
    CHECK(header.signature == 0x99);
    CHECK(all_zero(const_byte_span(page).first(8)));
    if (i == 0) {
      CHECK(get_text(page, 40, 3) == "abc");
      CHECK(get_text(page, 4092, 4) == "tail");
      CHECK(all_zero(const_byte_span(page).subspan(43, 4049)));
    } else {
      CHECK(all_zero(const_byte_span(page).subspan(page_header_bytes)));
    }
    seal_page(page, place);
    CHECK(examine_page(page, commit->changes[i].number, 0x99) == page_state::good);
  }
}

TEST_CASE("pagestore_records: databases, recoveries and backups are read as they were written", "[pagestore_records]") {
  for (const record_type type : {record_type::create, record_type::attach, record_type::detach}) {
    const std::vector<std::byte> record = database_sample_record(type);
    const std::optional<database_record> read = read_database_record(body_of(record));
    const database_record written = database_sample(type);
    REQUIRE(read);
    CHECK((read->id == 4 && read->database == database_signature && read->path == written.path));
    CHECK((read->page_size == written.page_size && read->pages == written.pages && read->dbtime == written.dbtime));
  }
  const std::vector<std::byte> recovered = all_samples()[5];
  const std::optional<recovered_record> end = read_recovered(body_of(recovered));
  REQUIRE(end);
  CHECK(end->end == make_lgpos(10, 0x1000));
  REQUIRE(end->databases.size() == 2);
  CHECK((end->databases[1].id == 5 && end->databases[1].dbtime == 12));
  const std::vector<std::byte> backup = all_samples()[8];
  const std::optional<backup_event> event = read_backup_event(body_of(backup));
  const backup_event written = backup_sample();
  REQUIRE(event);
  CHECK((event->phase == 4 && event->scope == 1 && event->type == 2 && event->id == 3 && event->mark == written.mark));
  CHECK((event->time == 1000 && event->low == 7 && event->high == 9));
}

TEST_CASE("pagestore_records: a reader takes its own types alone", "[pagestore_records]") {
  for (const std::vector<std::byte>& record : all_samples()) {
    const const_byte_span body = body_of(record);
    const auto type = static_cast<record_type>(load<std::uint8_t>(record, 12));
    CHECK(read_commit(body, 4096).has_value() == (type == record_type::commit));
    CHECK(read_database_record(body).has_value() ==
          (type == record_type::create || type == record_type::attach || type == record_type::detach));
    CHECK(read_recovered(body).has_value() == (type == record_type::recovered));
    CHECK(read_backup_event(body).has_value() == (type == record_type::backup));
    CHECK_FALSE(read_commit(body.first(body.size() - 1), 4096));
    CHECK_FALSE(read_database_record(body.first(body.size() - 1)));
    CHECK_FALSE(read_recovered(body.first(body.size() - 1)));
    CHECK_FALSE(read_backup_event(body.first(body.size() - 1)));
  }
  CHECK_FALSE(read_commit({}, 4096));
}

TEST_CASE("pagestore_records: fields out of bounds are refused in records of databases, recoveries and backups", "[pagestore_records]") {
  const std::vector<std::vector<std::byte>> samples = all_samples();
  const auto reads = [](const std::vector<std::byte>& record) {
    const const_byte_span body = body_of(record);
    return read_database_record(body) || read_recovered(body) || read_backup_event(body);
  };
  for (const std::size_t i : {1U, 2U, 3U}) {   // create, attach, detach
    CAPTURE(i);
    REQUIRE(reads(samples[i]));
    CHECK_FALSE(reads(with<std::uint8_t>(samples[i], 24, 0)));
    CHECK_FALSE(reads(with<std::uint8_t>(samples[i], 24, 7)));
    CHECK_FALSE(reads(with<std::uint8_t>(samples[i], 27, 1)));
    CHECK_FALSE(reads(with<std::uint32_t>(samples[i], 28, i == 1 ? 8193 : 8192)));   // page size, of create alone
  }
  for (const std::size_t i : {1U, 2U}) {
    CAPTURE(i);
    CHECK_FALSE(reads(with<std::uint32_t>(samples[i], 56, i == 1 ? 0 : 16)));        // pages, of create alone
    CHECK_FALSE(reads(with<std::uint16_t>(samples[i], 60, 0)));
    CHECK_FALSE(reads(with<std::uint16_t>(samples[i], 60, 5)));
    CHECK_FALSE(reads(with<std::uint16_t>(samples[i], 60, 7)));
    CHECK_FALSE(reads(with<std::uint16_t>(samples[i], 60, 0xffff)));
    CHECK_FALSE(reads(with<std::uint16_t>(samples[i], 62, 1)));
  }
  REQUIRE(reads(samples[5]));
  CHECK_FALSE(reads(with<std::uint16_t>(samples[5], 32, 1)));
  CHECK_FALSE(reads(with<std::uint16_t>(samples[5], 32, 3)));
  CHECK_FALSE(reads(with<std::uint16_t>(samples[5], 32, 0xffff)));
  CHECK_FALSE(reads(with<std::uint8_t>(samples[5], 34, 1)));
  CHECK_FALSE(reads(with<std::uint8_t>(samples[5], 40, 5)));    // the same database twice
  CHECK_FALSE(reads(with<std::uint8_t>(samples[5], 41, 1)));
  REQUIRE(reads(samples[8]));
  CHECK_FALSE(reads(with<std::uint8_t>(samples[8], 24, 0)));
  CHECK_FALSE(reads(with<std::uint8_t>(samples[8], 24, 7)));
  CHECK_FALSE(reads(with<std::uint8_t>(samples[8], 27, 7)));
  CHECK_FALSE(reads(with<std::uint32_t>(samples[8], 28, 1)));
  CHECK_FALSE(reads(with<std::uint32_t>(samples[8], 48, 0x80000000)));
  CHECK_FALSE(reads(with<std::uint32_t>(samples[8], 52, 0x80000000)));
}
