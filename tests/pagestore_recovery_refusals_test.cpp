#include "engines/pagestore/recovery/soft_recovery.hpp"

#include "support/pagestore_recovering.hpp"

#include <catch2/catch.hpp>

#include <functional>
#include <string>
#include <vector>

using namespace contrail::pagestore;
using namespace pagestore_logs;
using contrail::errc;

namespace {

/// Generations 1 to 5, the checkpoint in 3.
scene five() {
  scene s;
  for (unsigned g = 1; g <= 5; ++g) {
    if (g > 1) s.roll();
    if (g == 3) s.round();
    commit(s.log, {edit(s.one, g + 1, change_kind::format), edit(s.two, g + 1, change_kind::format)});
    commit(s.log, {s.change(s.one, g + 1, "generation " + std::to_string(g))});
    s.log.batch();
  }
  return s;
}

std::string name_of(std::uint32_t generation) { return "/store/" + log_name("edb", generation); }

/// The header of a log, changed.
std::string with_header(const std::string& file, const std::function<void(log_header&)>& change) {
  bytes out = raw(file);
  std::optional<log_header> header = decode_log_header(const_byte_span(out).first(4096));
  REQUIRE(header);
  change(*header);
  encode_log_header(*header, byte_span(out).first(4096));
  return text(out);
}

void change_log(simulated_disk& disk, const std::string& path, const std::function<void(log_header&)>& change) {
  disk.write_file(path, with_header(disk.read_file(path), change));
}

lgpos end_of(const scene& s) { return behind(s.log.generation(), s.log.next_offset()); }

/// On a copy of the disk.
recovery_outcome recovered(const simulated_disk& before, const parameters& p = how(), const std::function<void(const simulated_disk&)>& look = {}) {
  simulated_disk disk = sweep::copy_of(before);
  const recovery_run got = recover(disk, p);
  INFO(got.result.text());
  REQUIRE(got.result.good());
  if (look) look(disk);
  return got.outcome;
}

}  // namespace

TEST_CASE("pagestore recovery refuses: logs with gaps", "[pagestore_recovery]") {
  const scene s = five();
  simulated_disk disk = s.disk();
  SECTION("none") {
    const recovery_outcome out = recovered(disk, how(), [&](const simulated_disk& d) { check_recovered(d, s, end_of(s)); });
    CHECK(out.lowest_generation == 1);
  }
  SECTION("above the checkpoint's generation, and that one itself") {
    for (const std::uint32_t gone : {4U, 3U}) {
      simulated_disk other = sweep::copy_of(disk);
      other.remove(name_of(gone));
      check_refused(other, errc::missing_log_file, name_of(gone));
    }
  }
  SECTION("below it there may be what deletions have left") {
    disk.remove(name_of(2));
    const recovery_outcome out = recovered(disk, how(), [&](const simulated_disk& d) { check_recovered(d, s, end_of(s)); });
    CHECK(out.lowest_generation == 3);
    CHECK((out.garbage == std::vector<std::uint32_t>{1}));
  }
  SECTION("without a checkpoint, what a database needs is missing") {
    disk.remove("/store/edb.chk");
    recovered(disk, how(), [&](const simulated_disk& d) { check_recovered(d, s, end_of(s)); });
    disk.remove(name_of(4));
    check_refused(disk, errc::required_log_files_missing, "/store/one.db");
  }
  SECTION("the current one, of which the databases know") {
    disk.remove("/store/edb.log");
    check_refused(disk, errc::required_log_files_missing, "/store/one.db");
  }
  SECTION("the current one has a number, and does not end") {
    disk.write_file(name_of(5), disk.read_file("/store/edb.log"));
    disk.remove("/store/edb.log");
    check_refused(disk, errc::missing_log_file, "edb.log");
  }
  SECTION("all") {
    for (std::uint32_t g = 1; g < 5; ++g) disk.remove(name_of(g));
    check_refused(disk, errc::missing_log_file, name_of(4));
    disk.remove("/store/edb.log");
    check_refused(disk, errc::missing_log_file, "edb.log");
  }
}

TEST_CASE("pagestore recovery: a roll that was cut short", "[pagestore_recovery]") {
  scene s = five();
  s.log.close_generation();
  simulated_disk disk = s.disk();
  const recovery_outcome closed = recovered(disk, how(), [&](const simulated_disk& d) { check_recovered(d, s, end_of(s)); });
  CHECK(closed.tail->closed);
  CHECK_FALSE(closed.tail->numbered);
  disk.write_file(name_of(5), disk.read_file("/store/edb.log"));
  disk.remove("/store/edb.log");
  const recovery_outcome numbered = recovered(disk, how(), [&](const simulated_disk& d) { check_recovered(d, s, end_of(s)); });
  CHECK(numbered.tail->closed);
  CHECK(numbered.tail->numbered);
  CHECK(numbered.tail->chain == closed.tail->chain);
}

TEST_CASE("pagestore recovery refuses: logs that do not belong together", "[pagestore_recovery]") {
  const scene s = five();
  simulated_disk disk = s.disk();
  SECTION("another number inside") {
    disk.write_file(name_of(4), disk.read_file(name_of(3)));
    check_refused(disk, errc::invalid_log_sequence, name_of(4));
  }
  SECTION("one generation twice") {
    disk.write_file(name_of(5), disk.read_file("/store/edb.log"));
    check_refused(disk, errc::invalid_log_sequence, "edb.log");
    disk.write_file(name_of(6), disk.read_file("/store/edb.log"));
    check_refused(disk, errc::invalid_log_sequence, "edb.log");
  }
  SECTION("another predecessor") {
    change_log(disk, "/store/edb.log", [](log_header& h) { ++h.previous_created; });
    check_refused(disk, errc::invalid_log_sequence, "edb.log");
    change_log(disk, "/store/edb.log", [](log_header& h) { --h.previous_created; });
    recovered(disk);
    change_log(disk, "/store/edb.log", [](log_header& h) { h.previous_end += 512; });
    check_refused(disk, errc::invalid_log_sequence, "edb.log");
    change_log(disk, "/store/edb.log", [](log_header& h) {
      h.previous_end -= 512;
      ++h.previous_chain;
    });
    check_refused(disk, errc::log_sequence_checksum_mismatch, "edb.log");
  }
  SECTION("another set of logs") {
    for (const std::string& path : {std::string("/store/edb.log"), name_of(4), name_of(3)}) {
      simulated_disk other = sweep::copy_of(disk);
      change_log(other, path, [](log_header& h) { ++h.log.random; });
      check_refused(other, errc::existing_log_file_has_bad_signature, ".log");
    }
    simulated_disk other = sweep::copy_of(disk);
    change_log(other, name_of(2), [](log_header& h) { ++h.log.random; });
    recovered(other);   // below the checkpoint: nobody needs it
  }
  SECTION("another checkpoint") {
    checkpoint_block block = s.published;
    ++block.log.random;
    disk.write_file("/store/edb.chk", checkpoint_file(block));
    check_refused(disk, errc::bad_checkpoint_signature, "edb.chk");
    block = s.published;
    block.redo = make_lgpos(6, 4096);
    disk.write_file("/store/edb.chk", checkpoint_file(block));
    check_refused(disk, errc::missing_log_file, name_of(6));
    block.redo = make_lgpos(5, 100'000);
    disk.write_file("/store/edb.chk", checkpoint_file(block));
    check_refused(disk, errc::log_file_corrupt, "edb.log");
  }
  SECTION("another page size") {
    parameters p = how();
    p.page_size = 8192;
    check_refused(disk, errc::page_size_mismatch, "edb.log", p);
  }
  SECTION("a generation that does not end before the next begins") {
    std::string file = disk.read_file(name_of(4));
    const std::size_t last = file.find_last_not_of('\0') / 512 * 512;
    file.replace(last, 512, 512, '\0');
    disk.write_file(name_of(4), file);
    check_refused(disk, errc::log_file_corrupt, name_of(4));
  }
}

TEST_CASE("pagestore recovery refuses: damage anywhere in the logs that it needs", "[pagestore_recovery]") {
  const scene s = five();
  simulated_disk disk = s.disk();
  const std::string sound = disk.read_file("/store/edb.log");
  for (std::size_t at = 0; at < sound.size(); at += at < s.log.next_offset() ? 301U : 5000U) {
    std::string file = sound;
    file[at] = static_cast<char>(file[at] ^ 0x20);
    disk.write_file("/store/edb.log", file);
    INFO(at);
    check_refused(disk, errc::log_file_corrupt, "edb.log");
  }
  disk.write_file("/store/edb.log", sound.substr(0, sound.size() / 2));
  check_refused(disk, errc::log_file_corrupt, "edb.log");
  disk.write_file("/store/edb.log", sound);
  std::string checkpoint = disk.read_file("/store/edb.chk");
  checkpoint[60] = static_cast<char>(checkpoint[60] ^ 1);
  disk.write_file("/store/edb.chk", checkpoint);
  CHECK(recovered(disk).start == s.published.redo);   // the other copy is good
  checkpoint[4096 + 60] = static_cast<char>(checkpoint[4096 + 60] ^ 1);
  disk.write_file("/store/edb.chk", checkpoint);
  const recovery_outcome out = recovered(disk, how(), [&](const simulated_disk& d) { check_recovered(d, s, end_of(s)); });
  CHECK(out.start == make_lgpos(1, 0));
  CHECK(out.checkpoint.present);
  CHECK_FALSE(out.checkpoint.in_force);
}

TEST_CASE("pagestore recovery refuses: databases that are not what the log speaks of", "[pagestore_recovery]") {
  scene s = five();
  SECTION("not there") {
    simulated_disk disk = s.disk();
    disk.remove("/store/one.db");
    check_refused(disk, errc::attached_database_mismatch, "/store/one.db");
    parameters p = how();
    p.absent = absent_database::skip;
    const recovery_outcome out = recovered(disk, p, [&](const simulated_disk& d) {
      check_recovered(d, s.two, s.two.committed(), end_of(s), s.two.dbtime);
    });
    REQUIRE(out.absent.size() == 1);
    CHECK(std::filesystem::path(out.absent[0]).generic_string() == "/store/one.db");
    CHECK(out.recovered.size() == 1);
  }
  SECTION("another one") {
    s.one.header.database.random ^= 1U;
    check_refused(s.disk(), errc::attached_database_mismatch, "/store/one.db");
  }
  SECTION("no database") {
    simulated_disk disk = s.disk();
    disk.write_file("/store/one.db", std::string(9000, 'x'));
    parameters p = how();
    p.absent = absent_database::skip;
    check_refused(disk, errc::database_corrupted, "/store/one.db", p);
  }
  SECTION("a copy that was never replayed") {
    s.one.header.backups[full_current].low = 2;
    check_refused(s.disk(), errc::soft_recovery_on_backup_database, "/store/one.db");
  }
  SECTION("one that needs logs that are not there") {
    s.one.header.max_committed = 6;
    check_refused(s.disk(), errc::required_log_files_missing, "generation 6");
    s.one.header.max_committed = 5;
    simulated_disk disk = s.disk();
    disk.remove(name_of(1));
    disk.remove(name_of(2));
    recovered(disk);
    s.one.header.min_required = 2;
    s.one.put(disk);
    check_refused(disk, errc::required_log_files_missing, "/store/one.db");
  }
  SECTION("in use with other logs") {
    ++s.one.header.log.random;
    check_refused(s.disk(), errc::required_log_files_missing, "/store/one.db");
  }
  SECTION("an older file, clean in this log or in another one") {
    s.one.header.state = database_state::clean;
    s.one.header.min_required = s.one.header.max_required = s.one.header.max_committed = 0;
    s.one.header.cleaned = make_lgpos(1, 4096);
    check_refused(s.disk(), errc::required_log_files_missing, "an older file");
    ++s.one.header.log.random;
    check_refused(s.disk(), errc::required_log_files_missing, "an older file");
    s.one.header.dbtime = s.one.dbtime + 3;   // it went on there: it was detached here, and its record did not come to be
    const std::string as_it_was = s.one.image();
    recovered(s.disk(), how(), [&](const simulated_disk& d) { CHECK((d.read_file("/store/one.db") == as_it_was)); });
  }
}

TEST_CASE("pagestore recovery refuses: an older file, clean, where the log has attached a newer one", "[pagestore_recovery]") {
  scene s;
  s.one.header.state = database_state::clean;
  s.one.header.min_required = s.one.header.max_required = s.one.header.max_committed = 0;
  s.one.header.cleaned = s.log.tip();
  s.log.about_database(record_type::detach, s.one.record());
  s.log.batch();
  s.round();
  s.published.attached.erase(s.published.attached.begin());
  database_record again = s.one.record();
  simulated_disk disk = s.disk();
  s.log.about_database(record_type::attach, again);
  s.log.batch();
  s.log.put(disk);
  recovered(disk);
  scene t = s;
  again.dbtime += 2;
  t.log.about_database(record_type::detach, again);
  t.log.about_database(record_type::attach, again);
  t.log.batch();
  t.log.put(disk);
  check_refused(disk, errc::required_log_files_missing, "an older file");
}

TEST_CASE("pagestore recovery: an older file gets what it lacks, from older logs", "[pagestore_recovery]") {
  scene s;
  commit(s.log, {edit(s.one, 2, change_kind::format), edit(s.two, 2, change_kind::format)});
  commit(s.log, {s.change(s.one, 2, "x")});
  s.round();
  const known_database old = s.one;
  commit(s.log, {s.change(s.one, 2, "image"), s.change(s.two, 2, "image")});
  commit(s.log, {s.change(s.one, 2, "delta", 900)});
  s.log.batch();
  s.roll();
  s.round();
  commit(s.log, {s.change(s.one, 2, "newest", 1900)});
  s.log.batch();
  simulated_disk disk = s.disk();
  CHECK(recovered(disk).start == s.published.redo);
  const std::string header = s.one.image().substr(0, 8192);
  old.put(disk);
  const recovery_outcome out = recovered(disk, how(), [&](const simulated_disk& d) { check_recovered(d, s, end_of(s)); });
  CHECK(out.start == old.header.redo);
  CHECK(out.start < s.published.redo);
}

TEST_CASE("pagestore recovery: databases come and go in the log", "[pagestore_recovery]") {
  scene s;
  commit(s.log, {edit(s.one, 2, change_kind::format), edit(s.two, 2, change_kind::format)});
  s.log.batch();
  // Database 1 is detached, and its number given to another.
  s.one.write_all();
  s.one.header.state = database_state::clean;
  s.one.header.min_required = s.one.header.max_required = s.one.header.max_committed = 0;
  s.one.header.dbtime = s.one.dbtime;
  s.one.header.cleaned = s.log.tip();
  s.log.about_database(record_type::detach, s.one.record());
  s.log.batch();
  known_database three(1, "three.db", 20);
  three.what.database.random = three.header.database.random = 3333;
  three.write(1);
  page_header first = get_page_header(three.now.at(1));
  first.signature = 3333;
  put_page_header(three.now.at(1), first);
  three.write(1);
  three.header.state = database_state::being_created;
  three.header.dbtime = three.dbtime;
  const lgpos created = s.log.about_database(record_type::create, three.record());
  s.log.batch();
  const std::string one_as_it_is = s.one.image();

  SECTION("created and not used") {
    simulated_disk disk = s.disk();
    three.put(disk);
    const recovery_outcome out = recovered(disk, how(), [&](const simulated_disk& d) {
      check_recovered(d, three, three.committed(), end_of(s), three.dbtime);
      check_recovered(d, s.two, s.two.committed(), end_of(s), s.two.dbtime);
      CHECK((d.read_file("/store/one.db") == one_as_it_is));
    });
    CHECK(out.recovered.size() == 2);
    disk.remove("/store/three.db");
    check_refused(disk, errc::attached_database_mismatch, "/store/three.db");
  }
  SECTION("used, and the one that went is gone, or damaged") {
    three.header.state = database_state::dirty;
    three.header.log = s.log.signature;
    three.header.min_required = three.header.max_required = three.header.max_committed = 1;
    three.header.attached = created;
    three.horizon = three.dbtime;
    commit(s.log, {edit(three, 7, change_kind::format), edit(s.two, 4, change_kind::format)});
    commit(s.log, {s.change(three, 7, "of three")});
    s.log.batch();
    simulated_disk disk = s.disk();
    three.put(disk);
    const auto look = [&](const simulated_disk& d) {
      check_recovered(d, three, three.committed(), end_of(s), three.dbtime);
      check_recovered(d, s.two, s.two.committed(), end_of(s), s.two.dbtime);
    };
    recovered(disk, how(), look);
    s.one.file[2] = bytes(4096, std::byte{5});
    s.one.put(disk);
    recovered(disk, how(), look);
    const auto untouched = disk.read_file("/store/one.db");
    recovered(disk, how(), [&](const simulated_disk& d) { CHECK((d.read_file("/store/one.db") == untouched)); });
    disk.remove("/store/one.db");
    recovered(disk, how(), look);
  }
  SECTION("and everything was shut down") {
    three.header.state = database_state::clean;
    three.header.log = s.log.signature;
    three.header.dbtime = three.dbtime;
    three.header.cleaned = s.log.tip();
    s.two.write_all();
    s.two.header.state = database_state::clean;
    s.two.header.dbtime = s.two.dbtime;
    s.two.header.cleaned = s.log.tip();
    s.two.header.min_required = s.two.header.max_required = s.two.header.max_committed = 0;
    s.log.plain(record_type::shutdown);
    s.log.batch();
    simulated_disk disk = s.disk();
    three.put(disk);
    const auto before = disk.files();
    const recovery_outcome out = recovered(disk, how(), [&](const simulated_disk& d) { CHECK((d.files() == before)); });
    CHECK_FALSE(out.ran);
    CHECK(out.recovered.empty());
    CHECK(out.changes == 0);
    // Attached again, and its header was not written yet.
    s.log.about_database(record_type::attach, s.two.record());
    s.log.batch();
    s.log.put(disk);
    CHECK(recovered(disk).recovered.size() == 1);
  }
  SECTION("a change of one that is not attached") {
    three.header.state = database_state::dirty;
    s.log.about_database(record_type::detach, three.record());
    commit(s.log, {edit(three, 7, change_kind::format)});
    s.log.batch();
    simulated_disk disk = s.disk();
    three.put(disk);
    check_refused(disk, errc::log_file_corrupt, "edb.log");
  }
}

TEST_CASE("pagestore recovery: headers: half updated, and backups that the log knows", "[pagestore_recovery]") {
  scene s = five();
  backup_event event;
  event.phase = 4;
  event.scope = 1;
  event.id = 1;
  event.mark = make_lgpos(4, 5000).value;
  event.time = 99;
  event.low = 3;
  event.high = 4;
  const auto add = [&] { s.log.add([&](record_builder& b) { b.begin_backup(7, event); }); };
  s.one.header.backups[incremental_previous].mark = 5;
  s.one.header.backups[copy_previous].mark = 6;
  s.two.header.backups[full_previous].mark = event.mark + 1;
  add();
  event.id = 2;
  add();
  event.phase = 5;
  event.mark += 10;
  add();
  s.log.batch();
  simulated_disk disk = s.disk();
  // The second copy of one.db's header is older.
  std::string file = disk.read_file("/store/one.db");
  database_header older = s.one.header;
  --older.update;
  bytes page(4096);
  encode_header(older, page);
  file.replace(4096, 4096, text(page));
  disk.write_file("/store/one.db", file);
  recovered(disk, how(), [&](const simulated_disk& d) {
    check_recovered(d, s, end_of(s));
    const database_header one = header_of(d, "one.db");
    CHECK(one.backups[full_previous].mark == make_lgpos(4, 5000).value);
    CHECK(one.backups[full_previous].time == 99);
    CHECK(one.backups[full_previous].low == 3);
    CHECK(one.backups[full_previous].high == 4);
    CHECK(one.backups[incremental_previous].mark == 0);
    CHECK(one.backups[copy_previous].mark == 6);
    const database_header two = header_of(d, s.two.what.path);
    CHECK(two.backups[full_previous] == s.two.header.backups[full_previous]);
  });
}
