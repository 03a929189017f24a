#include "support/repo_tools.hpp"
#include "support/sweep.hpp"


using namespace sweep;
using contrail::errc;

namespace {

constexpr contrail::io::caching as_written = contrail::io::caching::cached;

disk_fault fault(disk_request what, const std::string& path, std::uint64_t nth = 0, std::errc error = std::errc::io_error) {
  disk_fault f;
  f.what = what;
  f.path = path;
  f.nth = nth;
  f.error = std::make_error_code(error);
  return f;
}

std::size_t count(const simulated_disk& disk, disk_request what, const std::string& path) {
  std::size_t n = 0;
  for (const disk_event& e : disk.log()) n += e.what == what && e.path.find(path) != std::string::npos;
  return n;
}

/// The number of files of each set that the reader hands out whole, by name.
std::map<std::string, std::string> read_set(simulated_disk& disk, const std::string& set) {
  std::map<std::string, std::string> out;
  asio::io_context context;
  contrail::directory_repository repo(disk.mount(context.get_executor()), "/repo");
  run_on(context, 1, [&]() -> asio::awaitable<void> {
    const std::vector<repo_file> files = co_await repo_read(repo, set, std::size_t{16} << 20);
    for (const repo_file& f : files) out[f.name] = f.bytes;
  });
  return out;
}

/// As restore by hand would: the manifest of the only set, changed, with its digest made right.
void edit_manifest(simulated_disk& disk, const std::function<void(nlohmann::ordered_json&)>& edit) {
  for (const auto& [name, bytes] : disk.files("/repo")) {
    if (!name.ends_with("manifest.json")) continue;
    nlohmann::ordered_json j = nlohmann::ordered_json::parse(repo_inner(bytes));
    edit(j);
    disk.write_file("/repo/" + name, repo_sign(j.dump(2)));
  }
}

}  // namespace

TEST_CASE("repository_disk: a name that is not durable is no backup, and is hidden again", "[repository]") {
  bench b;
  simulated_disk disk = b.fresh_disk();
  REQUIRE(b.back_up(disk).good());
  const std::vector<std::string> before = disk.names("/repo");
  bool hidden = true;
  // The one of the repository itself comes behind two of the set and that of the directory above.
  SECTION("hidden") { disk.add(fault(disk_request::sync_directory, "/repo", 3));  }
  SECTION("cannot be hidden") {
    disk.add(fault(disk_request::sync_directory, "/repo", 3));
    disk.add(fault(disk_request::rename_new, "/repo", 1));
    hidden = false;
  }
  const result got = b.back_up(disk);
  INFO(got.text() << "\n" << last_events(disk, 30));
  CHECK(got.code() == std::errc::io_error);
  CHECK(got.text().find("sync repository") != std::string::npos);
  if (hidden) {
    CHECK(got.text().find("the set was discarded") != std::string::npos);
    CHECK(disk.names("/repo") == before);
  } else {
    CHECK(got.text().find("do not rely on it") != std::string::npos);
    CHECK(b.list(disk).size() == 2);
  }
  for (const crash_mode mode : {crash_mode::worst, crash_mode::best}) {
    simulated_disk found = disk.after_crash(mode);
    CHECK(b.check_repository(copy_of(found), {}) == 1);   // the failed sync lost the name
    b.check_next_backup(found);
  }
}

TEST_CASE("repository_disk: a sync that failed is not tried again, and its data is not believed", "[repository]") {
  bench b;
  simulated_disk disk = b.fresh_disk();
  const std::string which = GENERATE(std::string("big/one.db"), std::string("files.jsonl"), std::string("manifest.json"));
  INFO(which);
  disk.add(fault(disk_request::sync, which));
  const result got = b.back_up(disk);
  CHECK(got.code() == std::errc::io_error);
  INFO(got.text());
  CHECK(got.text().find(which) != std::string::npos);
  CHECK(count(disk, disk_request::sync, which) == 1);
  CHECK(disk.names("/repo").empty());
  b.check_next_backup(disk);
}

TEST_CASE("repository_disk: no more room is told with its file, before and while it is written", "[repository]") {
  bench b;
  simulated_disk disk = b.fresh_disk();
  SECTION("announced") { disk.add(fault(disk_request::allocate, "one.db", 0, std::errc::no_space_on_device)); }
  SECTION("written") { disk.add(fault(disk_request::write, "one.db", 1, std::errc::no_space_on_device)); }
  const result got = b.back_up(disk);
  INFO(got.text());
  CHECK(got.code() == std::errc::no_space_on_device);
  CHECK(got.text().find("big/one.db") != std::string::npos);
  CHECK(disk.names("/repo").empty());
  CHECK_FALSE(disk.exists("/repo"));   // it was made for this backup
}

TEST_CASE("repository_disk: slow disks that end operations in any order, with short transfers", "[repository]") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    bench b;
    b.options.seed = seed;
    b.options.short_transfers = true;
    b.options.most_delay = std::chrono::seconds(2);
    b.contents["small.db"] = pattern_bytes(2'000'003, static_cast<unsigned>(seed));
    simulated_disk disk = b.fresh_disk();
    contrail::backup_report report;
    const result got = b.back_up(disk, &report);
    INFO("seed " << seed << ": " << got.text());
    CHECK(got.good());
    CHECK(b.check_repository(disk.after_crash(crash_mode::worst), {report.set}) == 1);
    std::vector<std::uint64_t> offsets;
    for (const disk_event& e : disk.log())
      if (e.what == disk_request::write && e.path.ends_with("small.db")) offsets.push_back(e.offset);
    CHECK(offsets.size() > 5);
  }
}

TEST_CASE("repository_disk: a database of several files fails in its middle, the others are kept", "[repository]") {
  bench b;
  simulated_disk disk = b.fresh_disk();
  disk.add(fault(disk_request::read, "/source/big/two.db"));
  contrail::backup_report report;
  const result got = b.back_up(disk, &report);
  INFO(got.text());
  REQUIRE(got.good());
  REQUIRE(report.failed_databases.size() == 1);
  CHECK(report.failed_databases[0].first == "big");
  CHECK(report.failed_databases[0].second == std::errc::io_error);
  CHECK(report.files == 2);
  const file_map found = read_set(disk, report.set);
  CHECK((found == file_map{{"small.db", b.contents["small.db"]}, {"log1", b.contents["log1"]}}));
  CHECK_FALSE(disk.exists("/repo/" + report.set + "/big"));
  b.check_repository(disk.after_crash(crash_mode::worst), {report.set});
}

TEST_CASE("repository_disk: closed files are dropped from a list of any length", "[repository]") {
  const int files = GENERATE(1, 3, 1200);
  const int every = GENERATE(1, 2, 7);
  CAPTURE(files, every);
  simulated_disk disk;
  asio::io_context context;
  contrail::directory_repository repo(disk.mount(context.get_executor()), "/repo");
  file_map expected;
  std::string set;
  run_on(context, 1, [&]() -> asio::awaitable<void> {
    contrail::io::buffer_pool pool(context.get_executor(), 2, 4096);
    const contrail::set_header header = repo_header();
    std::unique_ptr<contrail::set_writer> writer = co_await repo.begin(header);
    std::vector<contrail::file_id> ids;
    for (int i = 0; i < files; ++i) {
      const std::string name = "directory" + std::to_string(i % 5) + "/" + std::string(60, 'n') + std::to_string(i);
      contrail::file_info info;
      info.name = name;
      const contrail::file_id id = co_await writer->open(info);
      contrail::io::lease data = co_await pool.async_acquire(asio::use_awaitable);
      std::memcpy(data.buffer().data(), name.data(), name.size());
      co_await writer->write(id, 0, std::move(data), name.size());
      contrail::file_end end;
      end.bytes = end.valid = name.size();
      end.digest = repo_digest(name);
      co_await writer->close(id, end);
      ids.push_back(id);
      if (i % every != 0) expected[name] = name;
    }
    const std::error_code why = std::make_error_code(std::errc::io_error);
    for (int i = 0; i < files; ++i) {
      if (i % every == 0) co_await writer->drop(ids[static_cast<std::size_t>(i)], why);
    }
    contrail::manifest m = repo_manifest();
    co_await writer->commit(m);
    CHECK(m.files == expected.size());
    set = m.set;
  });
  CHECK((read_set(disk, set) == expected));
  const std::uint64_t stored = disk.files("/repo/" + set).size();
  CHECK(stored == expected.size() + 2);
  CHECK(disk.open_files() == 0);
}

TEST_CASE("repository_disk: a list whose bytes changed on the disk is not repaired by a drop", "[repository]") {
  simulated_disk disk;
  asio::io_context context;
  contrail::directory_repository repo(disk.mount(context.get_executor()), "/repo");
  std::error_code said;
  run_on(context, 1, [&]() -> asio::awaitable<void> {
    contrail::io::buffer_pool pool(context.get_executor(), 2, 4096);
    const contrail::set_header header = repo_header();
    std::unique_ptr<contrail::set_writer> writer = co_await repo.begin(header);
    contrail::file_id last;
    for (int i = 0; i < 1200; ++i) {
      contrail::file_info info;
      info.name = std::string(60, 'n') + std::to_string(i);
      const contrail::file_id id = co_await writer->open(info);
      contrail::file_end end;
      end.digest = repo_digest("");
      co_await writer->close(id, end);
      last = id;
    }
    co_await writer->drop(last, std::make_error_code(std::errc::io_error));
    const std::string path = "/repo/.partial-" + header.set + "/files.jsonl";
    std::string bytes = disk.read_file(path);
    REQUIRE(bytes.size() > 40'000);
    bytes[bytes.find("nnn")] = 'm';
    // Through a file system: the writer has the file open.
    contrail::io::file_system fs = disk.mount(context.get_executor());
    contrail::io::open_options how;
    how.mode = contrail::io::access::write;
    how.cache = as_written;
    contrail::io::random_access_file file = co_await fs.async_open(path, how, asio::use_awaitable);
    const std::size_t n = co_await file.async_write_some_at(0, asio::buffer(bytes), asio::use_awaitable);
    CHECK(n == bytes.size());
    file.close();
    contrail::manifest m = repo_manifest();
    try {
      co_await writer->commit(m);
    } catch (const contrail::error& e) {
      said = e.code();
    }
    co_await writer->abort();
  });
  CHECK(said == errc::disk_io);
  CHECK_FALSE(disk.exists("/repo"));
}

TEST_CASE("repository_disk: a set with the last number of all says so", "[repository]") {
  bench b;
  simulated_disk disk = b.fresh_disk();
  contrail::backup_report report;
  REQUIRE(b.back_up(disk, &report).good());
  edit_manifest(disk, [](nlohmann::ordered_json& j) { j["sequence"] = ~std::uint64_t{0}; });
  REQUIRE(b.list(disk).at(0).info != nullptr);
  const result got = b.back_up(disk);
  INFO(got.text());
  CHECK(got.code() == errc::set_damaged);
  CHECK(got.text().find(report.set) != std::string::npos);
  CHECK(got.text().find("18446744073709551615") != std::string::npos);
  CHECK(b.list(disk).size() == 1);
}

TEST_CASE("repository_disk: what could be read only at the second try is told", "[repository]") {
  bench b;
  simulated_disk disk = b.fresh_disk();
  REQUIRE(b.back_up(disk).good());
  disk.make_directory("/scratch");
  disk.add(fault(disk_request::read, "manifest.json"));
  moment none;
  contrail::verify_report report;
  REQUIRE(b.verify(disk, none, &report).good());
  REQUIRE(report.sets.size() == 1);
  REQUIRE(report.sets[0].damage.size() == 1);
  CHECK(report.sets[0].damage[0].what.find("not when the repository was listed") != std::string::npos);
}

TEST_CASE("repository_disk: a hidden directory without its lock goes with the next restore", "[restore]") {
  bench b;
  simulated_disk disk = b.fresh_disk();
  REQUIRE(b.back_up(disk).good());
  disk.write_file("/out/.contrail-restore-0123abcd/big/one.db", "half");
  disk.write_file("/out/.contrail-restore-4567abcd.lock", "");
  disk.write_file("/out/.contrail-restore-4567abcx/other", "not ours");
  moment none;
  const result got = b.restore(disk, none, "/out", false);
  INFO(got.text());
  CHECK(got.good());
  file_map expected = b.contents;
  expected.erase("log1");
  expected[".contrail-restore-4567abcx/other"] = "not ours";
  CHECK((disk.files("/out") == expected));
}

TEST_CASE("repository_disk: a backup cancelled while it begins says that it was cancelled", "[backup]") {
  bench b;
  for (std::uint64_t turn = 0; turn < 12; ++turn) {
    simulated_disk disk = b.fresh_disk();
    moment when;
    when.cancelled_at_turn = turn;
    const result got = b.back_up(disk, when);
    INFO(turn << ": " << got.text());
    CHECK(got.code() == asio::error::operation_aborted);
  }
}
