#include <contrail/verify.hpp>

#include <contrail/error.hpp>
#include "support/verify_place.hpp"

#include <catch2/catch.hpp>

#include <filesystem>

namespace fs = std::filesystem;
using contrail::errc;
using contrail::error;
using contrail::file_damage;
using contrail::verify_entry;
using contrail::verify_options;
using contrail::verify_report;

namespace {

void flip(const fs::path& path, std::size_t at, int bit = 0) {
  std::string bytes = read_file(path);
  bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
  write_file(path, bytes);
}

}  // namespace

TEST_CASE("verify: a good set is good, and every byte of it was read", "[verify]") {
  verify_place p;
  std::vector<repo_file> content = verify_small_set();
  content.emplace_back("big", pattern_bytes(3000001));
  const std::string set = p.back_up(content);
  contrail::progress counters;
  const verify_report r = p.verify("all", false, &counters);
  REQUIRE(r.sets.size() == 1);
  CHECK(r.sets[0].set == set);
  CHECK(r.sets[0].engine == "fake");
  CHECK(r.sets[0].damage.empty());
  CHECK_FALSE(r.sets[0].proven);
  CHECK(counters.bytes_total == 3000791);
  CHECK(counters.bytes_read == 3000791);
}

TEST_CASE("verify: one bit flipped anywhere in a set is found, and its file named", "[verify]") {
  verify_place p;
  const fs::path set = p.dir / "repo" / p.back_up(verify_small_set());
  for (const char* name : {"manifest.json", "files.jsonl", "app.db", "sub/log"}) {
    const std::size_t bytes = fs::file_size(set / name);
    std::size_t missed = 0;
    for (std::size_t at = 0; at < bytes; ++at) {
      const int bit = static_cast<int>(at % 8);
      flip(set / name, at, bit);
      const auto damage = p.damage();
      if (damage.size() != 1 || damage[0].file != name || damage[0].what.empty()) ++missed;
      flip(set / name, at, bit);
    }
    CAPTURE(name);
    CHECK(missed == 0);
  }
  CHECK(p.damage().empty());
}

TEST_CASE("verify: kinds of damage to a file", "[verify]") {
  verify_place p;
  std::vector<repo_file> content = verify_small_set();
  content.emplace_back("pages", pattern_bytes(2 << 20, 5));
  const fs::path set = p.dir / "repo" / p.back_up(content);
  std::string file = "pages";
  std::optional<std::uint64_t> offset;
  SECTION("gone") { fs::remove(set / file); }
  SECTION("cut") {
    fs::resize_file(set / file, 1500000);
    offset = 1500000;
  }
  SECTION("emptied") {
    fs::resize_file(set / file, 0);
    offset = 0;
  }
  SECTION("longer") {
    write_file(set / file, read_file(set / file) + "x");
    offset = 2 << 20;
  }
  SECTION("longer by zeros, where there should be nothing") {
    file = "empty";
    fs::resize_file(set / file, 1);
    offset = 0;
  }
  SECTION("pages swapped") {
    const std::string b = read_file(set / file);
    write_file(set / file, b.substr(0, 4096) + b.substr(8192, 4096) + b.substr(4096, 4096) + b.substr(12288));
  }
  SECTION("chunks swapped") {
    const std::string b = read_file(set / file);
    write_file(set / file, b.substr(1 << 20) + b.substr(0, 1 << 20));
  }
  SECTION("zeroed") { write_file(set / file, std::string(2 << 20, '\0')); }
  if (has_links) SECTION("a link, even to the right bytes") {
    fs::rename(set / file, p.dir / "moved");
    fs::create_symlink(p.dir / "moved", set / file);
  }
  SECTION("a directory") {
    fs::remove(set / file);
    fs::create_directory(set / file);
  }
  if (has_links) SECTION("a directory on the way is a link, even to the right files") {
    file = "sub/log";
    fs::rename(set / "sub", p.dir / "moved");
    fs::create_directory_symlink(p.dir / "moved", set / "sub");
  }
  SECTION("a directory on the way is gone") {
    file = "sub/log";
    fs::remove_all(set / "sub");
  }
  if (has_pipes) SECTION("a pipe") {
    fs::remove(set / file);
    make_pipe(set / file);
  }
  SECTION("a file too many") {
    file = "app.db-wal";
    write_file(set / file, "");
  }
  SECTION("a file too many, below") {
    file = "sub/more";
    write_file(set / file, "x");
  }
  SECTION("a directory too many") {
    file = "more";
    fs::create_directory(set / file);
  }
  if (has_links) SECTION("a link too many") {
    file = "more";
    fs::create_symlink("/", set / file);
  }
  const auto damage = p.damage();
  // A directory in the place of a file is also one too many.
  REQUIRE_FALSE(damage.empty());
  CHECK(damage.size() <= 2);
  CHECK(damage[0].file == file);
  CHECK(damage[0].offset == offset);
  CHECK_FALSE(damage[0].what.empty());
}

TEST_CASE("verify: goes on to find all damage, in all sets", "[verify]") {
  verify_place p;
  std::vector<repo_file> content;
  for (int i = 0; i < 9; ++i) content.emplace_back("f" + std::to_string(i), pattern_bytes(300000, static_cast<unsigned>(i)));
  const std::string first = p.back_up(content);
  const std::string second = p.back_up(content);
  const std::string third = p.back_up(content);
  const fs::path set = p.dir / "repo" / first;
  flip(set / "f1", 299999);
  fs::remove(set / "f3");
  fs::resize_file(set / "f8", 5);
  write_file(set / "z1", "");
  write_file(set / "z2", "");
  write_file(p.dir / "repo" / second / "manifest.json", "garbage");
  const verify_report r = p.verify();
  REQUIRE(r.sets.size() == 3);
  CHECK(r.sets[0].set == first);
  REQUIRE(r.sets[0].damage.size() == 5);
  const std::vector<std::string> names{"f1", "f3", "f8", "z1", "z2"};
  for (std::size_t i = 0; i < names.size(); ++i) CHECK(r.sets[0].damage[i].file == names[i]);
  CHECK(r.sets[1].set == third);
  CHECK(r.sets[1].damage.empty());
  CHECK(r.sets[2].set == second);
  REQUIRE(r.sets[2].damage.size() == 1);
  CHECK(r.sets[2].damage[0].file == "manifest.json");
}

TEST_CASE("verify: a set that cannot be checked does not hide the damage of another", "[verify]") {
  verify_place p;
  std::vector<repo_file> content;
  content.emplace_back("f", pattern_bytes(300000, 1));
  const std::string first = p.back_up(content);
  const std::string second = p.back_up(content);
  repo_edit_manifest(p.dir / "repo" / first, [](nlohmann::ordered_json& j) { j["engine"] = "other"; });
  CHECK(repo_code([&] { p.verify("all", true); }) == errc::feature_not_built);
  flip(p.dir / "repo" / second / "f", 5);
  const verify_report r = p.verify("all", true);
  REQUIRE(r.sets.size() == 2);
  REQUIRE(r.sets[0].damage.size() == 1);
  CHECK(r.sets[0].damage[0].what.find("could not be checked") != std::string::npos);
  CHECK(r.sets[1].damage.size() == 1);
}

TEST_CASE("verify: more damage than anybody reads is counted", "[verify]") {
  verify_place p;
  std::vector<repo_file> content;
  for (int i = 0; i < 1100; ++i) content.emplace_back("f" + std::to_string(i), "x");
  const fs::path set = p.dir / "repo" / p.back_up(content);
  for (int i = 0; i < 1100; ++i) fs::remove(set / ("f" + std::to_string(i)));
  const auto damage = p.damage();
  REQUIRE(damage.size() == 1001);
  CHECK(damage.back().what == "and 100 more");
}

TEST_CASE("verify: hostile lists with right digests are damage", "[verify]") {
  verify_place p;
  const fs::path set = p.dir / "repo" / p.back_up(verify_small_set());
  SECTION("up") { repo_edit_lines(set, "path", "../../outside"); }
  SECTION("absolute") { repo_edit_lines(set, "path", "/etc/passwd"); }
  if (has_links) SECTION("through a link") {
    fs::create_directory_symlink("/etc", set / "way");
    repo_edit_lines(set, "path", "way/passwd");
  }
  SECTION("unknown role") { repo_edit_lines(set, "role", "boot"); }
  SECTION("twice") { repo_edit_lines(set, "path", "app.db"); }
  SECTION("newer schema") {
    repo_edit_manifest(set, [](nlohmann::ordered_json& j) { j["schema"] = 99; });
    CHECK(p.damage()[0].what.find("99") != std::string::npos);
  }
  SECTION("must understand") {
    repo_edit_manifest(set, [](nlohmann::ordered_json& j) { j["must_understand"] = {"zip"}; });
    CHECK(p.damage()[0].what.find("zip") != std::string::npos);
  }
  CHECK_FALSE(p.damage().empty());
}

TEST_CASE("verify: which sets", "[verify]") {
  verify_place p;
  CHECK(repo_code([&] { p.verify(); }) == errc::set_not_found);
  fs::create_directory(p.dir / "repo");
  CHECK(repo_code([&] { p.verify(); }) == errc::set_not_found);
  const std::string first = p.back_up(verify_small_set());
  const std::string second = p.back_up(verify_small_set());
  CHECK(p.verify("all").sets.size() == 2);
  REQUIRE(p.verify("latest").sets.size() == 1);
  CHECK(p.verify("latest").sets[0].set == second);
  REQUIRE(p.verify(first).sets.size() == 1);
  CHECK(p.verify(first).sets[0].set == first);
  CHECK(repo_code([&] { p.verify("20200101T000000Z-00000000"); }) == errc::set_not_found);
  CHECK(repo_code([&] { p.verify("nonsense"); }) == errc::set_not_found);
  fs::remove_all(p.dir / "repo");
  write_file(p.dir / "repo", "x");
  CHECK(repo_code([&] { p.verify(); }) == errc::not_a_repository);
}

TEST_CASE("verify: a set in work is not verified", "[verify]") {
  verify_place p;
  run_on(p.context, 1, [&]() -> asio::awaitable<void> {
    const contrail::set_header header = repo_header();
    auto writer = co_await p.repo.begin(header);
    verify_report r;
    std::error_code ec;
    try {
      co_await p.verify_into(r, "all", false, nullptr);
    } catch (const error& e) {
      ec = e.code();
    }
    CHECK(ec == errc::set_not_found);
    co_await writer->abort();
  });
}

TEST_CASE("verify: a proof recovers the set in a scratch place", "[verify]") {
  verify_place p;
  const std::vector<repo_file> content = verify_small_set();
  p.back_up(content);
  fs::path used;
  p.provers.with.on_recover = [&](const contrail::recovery& work) {
    used = work.directory;
    CHECK(work.prove);
    REQUIRE(work.files.size() == content.size());
    for (std::size_t i = 0; i < content.size(); ++i) {
      CHECK(work.files[i].name == content[i].name);
      CHECK(work.files[i].role == content[i].role);
      CHECK(work.files[i].bytes == content[i].bytes.size());
      CHECK(work.files[i].valid == content[i].bytes.size());
      CHECK(read_file(work.directory / content[i].name) == content[i].bytes);
    }
  };
  const verify_report r = p.verify("latest", true);
  CHECK(r.sets[0].proven);
  CHECK(r.sets[0].damage.empty());
  CHECK(used.parent_path() == p.scratch);
  CHECK(repo_names(p.scratch).empty());
}

TEST_CASE("verify: a proof that fails", "[verify]") {
  verify_place p;
  p.back_up(verify_small_set());
  SECTION("by the set") {
    p.provers.with.on_recover = [](const contrail::recovery&) { contrail::fail(errc::database_corrupted, "check", "app.db", 17, "a", "b"); };
    const verify_report r = p.verify("latest", true);
    CHECK_FALSE(r.sets[0].proven);
    REQUIRE(r.sets[0].damage.size() == 1);
    CHECK(r.sets[0].damage[0].file.empty());
    CHECK(r.sets[0].damage[0].what.find("app.db") != std::string::npos);
  }
  SECTION("by its chain") {
    p.provers.with.on_check = [] { contrail::fail(errc::missing_full_backup, "check"); };
    CHECK(p.verify("latest", true).sets[0].damage.size() == 1);
  }
  SECTION("by the place") {
    p.provers.with.on_recover = [](const contrail::recovery&) {
      contrail::fail(std::make_error_code(std::errc::no_space_on_device), "recover");
    };
    CHECK(repo_code([&] { p.verify("latest", true); }) == std::errc::no_space_on_device);
  }
  SECTION("for want of a place") {
    fs::remove(p.scratch);
    CHECK(repo_code([&] { p.verify("latest", true); }) == std::errc::no_such_file_or_directory);
    fs::create_directory(p.scratch);
  }
  SECTION("for want of a restorer") {
    const fs::path set = p.dir / "repo" / p.verify("latest").sets[0].set;
    repo_edit_manifest(set, [](nlohmann::ordered_json& j) { j["engine"] = "other"; });
    CHECK(repo_code([&] { p.verify("latest", true); }) == errc::feature_not_built);
  }
  CHECK(repo_names(p.scratch).empty());
}

TEST_CASE("verify: a damaged set is not recovered", "[verify]") {
  verify_place p;
  const fs::path set = p.dir / "repo" / p.back_up(verify_small_set());
  p.back_up(verify_small_set());
  flip(set / "app.db", 5);
  int recovered = 0;
  p.provers.with.on_recover = [&](const contrail::recovery&) { ++recovered; };
  const verify_report r = p.verify("all", true);
  CHECK(r.sets[0].damage.size() == 1);
  CHECK(r.sets[1].proven);
  CHECK(recovered == 1);
}

TEST_CASE("verify: cancelled at any turn leaves nothing", "[verify]") {
  verify_place p;
  std::vector<repo_file> content = verify_small_set();
  content.emplace_back("big", pattern_bytes(2 << 20));
  p.back_up(content);
  const std::size_t before = open_descriptors();
  std::size_t cancelled = 0;
  for (std::size_t turn = 0;; ++turn) {
    bool finished = false;
    verify_report r;
    const std::error_code ec =
        repo_cancel_at(p.context, turn, finished, [&]() -> asio::awaitable<void> { co_await p.verify_into(r, "all", true, nullptr); });
    if (ec) ++cancelled;
    CHECK(repo_names(p.scratch).empty());
    if (!ec) CHECK((r.sets.size() == 1 && r.sets[0].damage.empty()));
    if (finished) break;
    REQUIRE(turn < 5000);
  }
  CHECK(cancelled > 50);
  CHECK(open_descriptors() == before);
}

TEST_CASE("verify: the least memory is enough for a proof, and less is refused", "[verify]") {
  verify_place p;
  p.back_up(verify_small_set());
  const auto with = [&p](std::size_t memory) {
    bool proven = false;
    const std::error_code code = repo_code([&] {
      run_on(p.context, 1, [&]() -> asio::awaitable<void> {
        contrail::verify_options options;
        options.memory = memory;
        options.scratch = &p.scratch;
        options.files = &p.files;
        const contrail::verify_report report = co_await contrail::verify(p.repo, &p.provers, options);
        proven = report.sets.at(0).proven;
      });
    });
    CHECK(proven == !code);
    return code;
  };
  CHECK(with((std::size_t{1} << 20) - 1) == errc::invalid_parameter);
  CHECK(with(std::size_t{1} << 20) == std::error_code());
}
