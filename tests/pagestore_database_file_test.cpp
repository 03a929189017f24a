#include "engines/pagestore/database_file.hpp"

#include "support/pagestore_recovering.hpp"

#include <catch2/catch.hpp>

#include <functional>
#include <string>
#include <utility>
#include <vector>

using namespace contrail::pagestore;
using contrail::errc;
using pagestore_logs::bytes;
using pagestore_logs::file_system;
using pagestore_logs::simulated_disk;
using pagestore_logs::text;

namespace {

database_header first_header(std::uint32_t page_size = 4096) {
  database_header out;
  out.page_size = page_size;
  out.update = 1;
  out.database.random = 5;
  out.database.created = 6;
  out.state = database_state::clean;
  out.pages = 4;
  out.dbtime = 100;
  return out;
}

asio::awaitable<void> create_it(file_system fs, database_header header, database_file* out) {
  database_file file = co_await database_file::create(fs, "/store/a.db", header);
  *out = std::move(file);
}
asio::awaitable<void> open_it(file_system fs, std::uint32_t page_size, database_file* out) {
  database_file file = co_await database_file::open(fs, "/store/a.db", page_size);
  *out = std::move(file);
}
asio::awaitable<void> update_it(file_system fs, std::uint64_t dbtime) {
  database_file file = co_await database_file::open(fs, "/store/a.db", 0);
  const std::function<void(database_header&)> change = [dbtime](database_header& h) { h.dbtime = dbtime; };
  co_await file.update(change);
}

simulated_disk empty_disk() {
  contrail::io::disk_options options;
  options.patience = 3;
  simulated_disk disk(options);
  disk.make_directory("/store");
  return disk;
}

simulated_disk disk_with(const database_header& header) {
  simulated_disk disk = empty_disk();
  bytes page(header.page_size);
  encode_header(header, page);
  disk.write_file("/store/a.db", text(page) + text(page) + std::string(std::size_t{header.pages} * header.page_size, '\0'));
  return disk;
}

/// The header in force, by opening it.
database_header opened(simulated_disk& disk, bool* half = nullptr) {
  database_header out;
  const sweep::result got = sweep::run_plain(disk, [&](file_system fs) {
    return [](file_system files, database_header* header, bool* half_updated) -> asio::awaitable<void> {
      const database_file file = co_await database_file::open(files, "/store/a.db", 0);
      *header = file.header();
      if (half_updated != nullptr) *half_updated = file.half_updated();
    }(fs, &out, half);
  });
  INFO(got.text());
  REQUIRE(got.good());
  return out;
}

}  // namespace

TEST_CASE("pagestore database file: the power fails inside an update of its header, and inside the next", "[pagestore_database_file]") {
  const simulated_disk fresh = disk_with(first_header());
  std::uint64_t old_ones = 0, new_ones = 0, halves = 0;
  for (std::uint64_t i = 0; i < 12; ++i) {
    for (std::uint64_t k = 0; k < (sweep::sanitized ? 4 : 12); ++k) {
      simulated_disk disk = sweep::copy_of(fresh);
      sweep::moment when;
      when.power_fails_after = i;
      const sweep::result first = sweep::run_once(disk, when, [](file_system fs) { return update_it(fs, 200); });
      simulated_disk left = disk.after_crash(sweep::crash_of(k), i * 1000 + k);
      bool half = false;
      const database_header after = opened(left, &half);
      CHECK((after.dbtime == 100 || after.dbtime == 200));
      if (first.over) CHECK(after.dbtime == 200);
      ++(after.dbtime == 100 ? old_ones : new_ones);
      if (half) ++halves;
      for (std::uint64_t j = 0; j < 12; ++j) {
        for (std::uint64_t m = 0; m < (sweep::sanitized ? 2 : 4); ++m) {
          simulated_disk again = sweep::copy_of(left);
          when.power_fails_after = j;
          const sweep::result second = sweep::run_once(again, when, [](file_system fs) { return update_it(fs, 300); });
          simulated_disk rest = again.after_crash(sweep::crash_of(m), i * 1000 + j * 100 + m);
          INFO("first after " << i << ", crash " << k << "; second after " << j << ", crash " << m);
          const database_header last = opened(rest);
          CHECK((last.dbtime == after.dbtime || last.dbtime == 300));
          if (second.over) CHECK(last.dbtime == 300);
        }
      }
    }
  }
  CHECK(old_ones > 0);
  CHECK(new_ones > 0);
  CHECK(halves > 0);
}

TEST_CASE("pagestore database file: which copy of the header counts", "[pagestore_database_file]") {
  for (const std::uint32_t page_size : {4096U, 8192U, 16384U, 32768U}) {
    simulated_disk disk = disk_with(first_header(page_size));
    const std::string sound = disk.read_file("/store/a.db");
    bool half = true;
    CHECK(opened(disk, &half) == first_header(page_size));
    CHECK_FALSE(half);
    for (const std::uint32_t broken : {0U, page_size}) {
      std::string file = sound;
      file[broken + 100] = 'x';
      disk.write_file("/store/a.db", file);
      CHECK(opened(disk, &half) == first_header(page_size));
      CHECK(half);
      disk.write_file("/store/a.db", file);
    }
    // The newer one, wherever it stands.
    database_header newer = first_header(page_size);
    newer.update = 2;
    newer.dbtime = 150;
    bytes page(page_size);
    encode_header(newer, page);
    for (const std::uint32_t at : {0U, page_size}) {
      std::string file = sound;
      file.replace(at, page_size, text(page));
      disk.write_file("/store/a.db", file);
      CHECK(opened(disk, &half) == newer);
      CHECK(half);
      // An update begins with the copy that is not in force, and mends what was left half done.
      simulated_disk next = sweep::copy_of(disk);
      REQUIRE(sweep::run_plain(next, [](file_system fs) { return update_it(fs, 400); }).good());
      std::vector<std::uint64_t> order;
      for (const contrail::io::disk_event& event : next.log()) {
        if (event.what == contrail::io::disk_request::write) order.push_back(event.offset);
        if (event.what == contrail::io::disk_request::sync) order.push_back(1);
      }
      CHECK((order == std::vector<std::uint64_t>{at == 0 ? page_size : 0, 1, at, 1}));
      CHECK(opened(next, &half).dbtime == 400);
      CHECK_FALSE(half);
    }
    std::string file = sound;
    file[100] = file[page_size + 100] = 'x';
    disk.write_file("/store/a.db", file);
    database_file out;
    const sweep::result got = sweep::run_plain(disk, [&](file_system fs) { return open_it(fs, 0, &out); });
    CHECK(got.code() == errc::database_corrupted);
    CHECK(got.text().find("/store/a.db") != std::string::npos);
    disk.write_file("/store/a.db", sound);
    const sweep::result other = sweep::run_plain(disk, [&](file_system fs) { return open_it(fs, page_size == 4096 ? 8192 : 4096, &out); });
    CHECK(other.code() == errc::page_size_mismatch);
  }
  simulated_disk disk = empty_disk();
  database_file out;
  CHECK(sweep::run_plain(disk, [&](file_system fs) { return open_it(fs, 0, &out); }).code() == errc::file_not_found);
}

TEST_CASE("pagestore database file: after an update that failed there is no other", "[pagestore_database_file]") {
  for (const contrail::io::disk_request what : {contrail::io::disk_request::write, contrail::io::disk_request::sync}) {
    simulated_disk disk = disk_with(first_header());
    contrail::io::disk_fault fault;
    fault.what = what;
    fault.nth = 1;
    disk.add(fault);
    const sweep::result got = sweep::run_plain(disk, [](file_system fs) {
      return [](file_system files) -> asio::awaitable<void> {
        database_file file = co_await database_file::open(files, "/store/a.db", 4096);
        const std::function<void(database_header&)> change = [](database_header& h) { h.dbtime = 7; };
        std::error_code first;
        try {
          co_await file.update(change);
        } catch (const contrail::error& e) {
          first = e.code();
        }
        CHECK(first == std::errc::io_error);
        CHECK(file.header().dbtime == 100);
        co_await file.update(change);
      }(fs);
    });
    CHECK(got.code() == errc::instance_unavailable);
  }
}

TEST_CASE("pagestore database file: made anew, or not at all", "[pagestore_database_file]") {
  database_header header = first_header();
  header.state = database_state::being_created;
  std::vector<contrail::io::disk_event> events;
  {
    simulated_disk disk = empty_disk();
    database_file out;
    REQUIRE(sweep::run_plain(disk, [&](file_system fs) { return create_it(fs, header, &out); }).good());
    events = disk.log();
    const simulated_disk after = disk.after_crash(sweep::crash_mode::worst);
    CHECK(after.read_file("/store/a.db").size() == 6 * 4096);
    out.close();
    CHECK(opened(disk) == header);
    CHECK(sweep::run_plain(disk, [&](file_system fs) { return create_it(fs, header, &out); }).code() == std::errc::file_exists);
    CHECK(disk.exists("/store/a.db"));
  }
  for (const contrail::io::disk_event& event : events) {
    simulated_disk disk = empty_disk();
    contrail::io::disk_fault fault;
    fault.nth = event.number;
    disk.add(fault);
    database_file out;
    const sweep::result got = sweep::run_plain(disk, [&](file_system fs) { return create_it(fs, header, &out); });
    INFO(to_string(event));
    CHECK(got.code() == std::errc::io_error);
    CHECK_FALSE(disk.exists("/store/a.db"));
  }
}

TEST_CASE("pagestore database file: pages, and the end of the file", "[pagestore_database_file]") {
  simulated_disk disk = disk_with(first_header());
  const sweep::result got = sweep::run_plain(disk, [](file_system fs) {
    return [](file_system files) -> asio::awaitable<void> {
      database_file file = co_await database_file::open(files, "/store/a.db", 4096);
      bytes page(4096, std::byte{1});
      page_header header;
      header.number = 3;
      header.dbtime = 9;
      header.signature = 5;
      put_page_header(page, header);
      seal_page(byte_span(page));
      co_await file.write(3, asio::buffer(page));
      bytes back(4096);
      co_await file.read_checked(3, asio::buffer(back));
      CHECK((back == page));
      co_await file.read_checked(4, asio::buffer(back));
      CHECK(all_zero(back));
      co_await file.write(4, asio::buffer(page));
      std::error_code code;
      try {
        co_await file.read_checked(4, asio::buffer(back));
      } catch (const contrail::error& e) {
        code = e.code();
        CHECK(e.details().offset == 5 * 4096U);
      }
      CHECK(code == errc::page_number_mismatch);
      page[77] = std::byte{2};
      co_await file.write(4, asio::buffer(page));
      try {
        co_await file.read_checked(4, asio::buffer(back));
      } catch (const contrail::error& e) {
        code = e.code();
      }
      CHECK(code == errc::read_verify_failure);
      back.assign(4096, std::byte{7});
      co_await file.read(9, asio::buffer(back));
      CHECK(all_zero(back));
      co_await file.extend(4, 9);
      const std::uint64_t grown = co_await file.bytes();
      CHECK(grown == 11 * 4096U);
      co_await file.extend(4, 5);
      const std::uint64_t same = co_await file.bytes();
      CHECK(same == grown);
      co_await file.cut(4);
      const std::uint64_t cut = co_await file.bytes();
      CHECK(cut == 6 * 4096U);
    }(fs);
  });
  INFO(got.text());
  CHECK(got.good());
  CHECK(disk.after_crash(sweep::crash_mode::worst).read_file("/store/a.db").size() == 6 * 4096);
}

TEST_CASE("pagestore database file: a sync that fails takes along all that are asked for beside it and after it", "[pagestore_database_file]") {
  simulated_disk disk = disk_with(first_header());
  contrail::io::disk_fault fault;
  fault.what = contrail::io::disk_request::sync;
  disk.add(fault);
  unsigned failures = 0;
  const sweep::result got = sweep::run_plain(disk, [&failures](file_system fs) {
    return [](file_system files, unsigned& failed) -> asio::awaitable<void> {
      database_file file = co_await database_file::open(files, "/store/a.db", 4096);
      const auto ex = co_await asio::this_coro::executor;
      const auto count = [&failed](std::exception_ptr e) { failed += e ? 1U : 0U; };
      asio::co_spawn(ex, file.sync(), count);
      asio::co_spawn(ex, file.sync(), count);
      const std::function<void(database_header&)> change = [](database_header& h) { h.dbtime = 7; };
      asio::co_spawn(ex, file.update(change), count);
      for (unsigned turns = 0; failed != 3 && turns < 1000; ++turns) co_await asio::post(ex, asio::use_awaitable);
      co_await file.sync();
    }(fs, failures);
  });
  CHECK(failures == 3);
  CHECK(got.code() == std::errc::io_error);
}
