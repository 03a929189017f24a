#include "support/pagestore_scene.hpp"
#include "support/sweep.hpp"
#include "support/temp_directory.hpp"

#include <catch2/catch.hpp>

#include <cstdio>

using namespace pagestore_scene;

namespace {

/// One file of a store, otherwise than it was left.
struct damage {
  damage() = default;
  damage(std::string f, std::string w, std::optional<std::string> b) : file(std::move(f)), what(std::move(w)), bytes(std::move(b)) {}
  std::string file, what;
  std::optional<std::string> bytes;   ///< nothing: removed
  bool end_may_go = false;            ///< as a power failure leaves it that took the last commit along
};

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}
bool is_log(const std::string& name) { return ends_with(name, ".log") && name != "edbtmp.log"; }

std::string flipped(std::string bytes, std::size_t at, unsigned bit) {
  bytes[at] = static_cast<char>(static_cast<unsigned char>(bytes[at]) ^ (1U << bit));
  return bytes;
}

bool is_zero(const std::string& bytes, std::size_t at, std::size_t count) {
  return bytes.find_first_not_of('\0', at) >= std::min(at + count, bytes.size());
}

/// Where the fields and the parts of a file begin and end.
std::vector<std::size_t> boundaries(const std::string& name, const std::string& bytes, std::mt19937_64& random) {
  std::vector<std::size_t> out;
  const auto block = [&](std::size_t at, std::initializer_list<std::size_t> fields) {
    for (const std::size_t f : fields) {
      if (at + f < bytes.size()) out.push_back(at + f);
    }
  };
  if (is_log(name)) {
    block(0, {0, 8, 16, 20, 24, 32, 40, 48, 52, 56, 64, 72, 80, 84, 88, 92, 128, 132, 136, 152, 160, 162, 788, 4095});
    std::size_t used = 8;
    for (std::size_t i = 8; i < bytes.size() / 512; ++i) {
      if (!is_zero(bytes, i * 512, 512)) used = i;
    }
    for (std::size_t i = 8; i <= used; ++i) {
      if (i > 12 && i + 20 < used && random() % 16 != 0) continue;
      block(i * 512, {0, 8, 12, 16, 20, 24, 28, 30, 32, 56, 511});
    }
    block((used + 1) * 512, {0, 511, 512});
  } else if (ends_with(name, ".db")) {
    for (const std::size_t at : {0U, 4096U}) {
      block(at, {0, 8, 16, 20, 24, 32, 40, 48, 56, 64, 68, 72, 76, 80, 84, 88, 96, 104, 112, 120, 128, 136, 144, 148, 152, 288, 368, 4095});
    }
    for (std::size_t at = 8192; at < bytes.size(); at += 4096) block(at, {0, 8, 12, 14, 16, 24, 32, 40, 44, 64, 2000, 4095});
  } else {
    for (const std::size_t at : {0U, 4096U}) block(at, {0, 8, 16, 20, 24, 32, 40, 48, 52, 56, 60, 64, 128, 132, 136, 144, 152, 160, 4095});
  }
  return out;
}

/// Everything that may happen to one file.
std::vector<damage> damages_of(const std::string& name, const std::string& bytes, std::mt19937_64& random) {
  std::vector<damage> out;
  out.emplace_back(name, "removed", std::nullopt);
  out.emplace_back(name, "empty", std::string());
  for (const std::size_t at : boundaries(name, bytes, random)) {
    const unsigned bit = static_cast<unsigned>(random() % 8);
    out.emplace_back(name, "bit " + std::to_string(bit) + " of byte " + std::to_string(at), flipped(bytes, at, bit));
  }
  for (unsigned i = 0; i < 40 && !bytes.empty(); ++i) {
    const std::size_t at = random() % bytes.size();
    const unsigned bit = static_cast<unsigned>(random() % 8);
    out.emplace_back(name, "bit " + std::to_string(bit) + " of byte " + std::to_string(at), flipped(bytes, at, bit));
  }
  std::vector<std::size_t> lengths = {1, 511, 512, 513, 4095, 4096, 8191, 8192, 12288, bytes.size() / 1024 * 512};
  for (const std::size_t less : {1U, 512U, 4096U, 40000U}) {
    if (less < bytes.size()) lengths.push_back(bytes.size() - less);
  }
  for (unsigned i = 0; i < 6; ++i) lengths.push_back(random() % (bytes.size() + 1));
  for (const std::size_t length : lengths) {
    if (length < bytes.size()) out.emplace_back(name, "cut to " + std::to_string(length), bytes.substr(0, length));
  }
  for (const std::size_t more : {1U, 512U, 4096U, 8192U}) {
    out.emplace_back(name, std::to_string(more) + " zeros behind it", bytes + std::string(more, '\0'));
    out.emplace_back(name, std::to_string(more) + " other bytes behind it", bytes + pattern_bytes(more, 7));
  }
  const std::size_t unit = is_log(name) ? 512 : 4096;
  for (std::size_t at = 0; at + unit <= bytes.size(); at += unit) {
    const bool used = !is_zero(bytes, at, unit);
    if (is_log(name) && (!used || random() % 8 != 0)) continue;
    std::string other = bytes;
    other.replace(at, unit, pattern_bytes(unit, static_cast<unsigned>(at)));
    out.emplace_back(name, "other bytes from " + std::to_string(at), other);
    other.replace(at, unit, bytes, random() % (bytes.size() / unit) * unit, unit);
    if (other != bytes && !is_zero(other, at, unit)) out.emplace_back(name, "another part of it at " + std::to_string(at), other);
    if (!used) continue;
    other.replace(at, unit, unit, '\0');
    out.emplace_back(name, "zeros from " + std::to_string(at), other);
    out.back().end_may_go = name == "edb.log";
  }
  return out;
}

/// What a store may say that finds its files damaged (docs/pagestore.md, "What is refused, and how").
bool documented(std::error_code code) {
  for (const errc one : {errc::log_file_corrupt, errc::invalid_log_sequence, errc::missing_log_file, errc::bad_checkpoint_signature,
                         errc::required_log_files_missing, errc::database_dirty_shutdown, errc::dbtime_too_old, errc::dbtime_too_new,
                         errc::log_sequence_checksum_mismatch, errc::existing_log_file_has_bad_signature, errc::read_verify_failure,
                         errc::page_number_mismatch, errc::database_corrupted, errc::page_size_mismatch, errc::attached_database_mismatch,
                         errc::file_not_found, errc::soft_recovery_on_backup_database}) {
    if (code == one) return true;
  }
  return false;
}

/// Codes of a contradiction between files: any of them may be the one that is named.
bool between_files(std::error_code code) {
  for (const errc one : {errc::invalid_log_sequence, errc::missing_log_file, errc::bad_checkpoint_signature, errc::required_log_files_missing,
                         errc::dbtime_too_old, errc::dbtime_too_new, errc::log_sequence_checksum_mismatch, errc::existing_log_file_has_bad_signature,
                         errc::page_size_mismatch}) {
    if (code == one) return true;
  }
  return false;
}

struct tally {
  tally() = default;
  std::uint64_t exact = 0, refused = 0, ended_earlier = 0;
  std::map<int, std::uint64_t> codes;
};

void set(simulated_disk& disk, const parameters& how, const damage& d) {
  const std::filesystem::path path = how.directory / d.file;
  if (d.bytes) disk.write_file(path, *d.bytes);
  else disk.remove(path);
}

std::map<std::string, std::string> without_aids(std::map<std::string, std::string> files) {
  files.erase("edb.lock");
  files.erase("edbtmp.log");
  return files;
}

/// Exactly the committed state, or an error that names a file, with a code that is documented; never anything else.
void judge(const scene& s, const damage& d, tally& sums) {
  simulated_disk disk = s.disk.after_crash(contrail::io::crash_mode::best);
  set(disk, s.how, d);
  const std::map<std::string, std::string> before = without_aids(disk.files(s.how.directory));
  finding found = look(disk, s.how, s.expected, true);
  if (!found.wrong.empty() && d.end_may_go) {
    simulated_disk again = s.disk.after_crash(contrail::io::crash_mode::best);
    set(again, s.how, d);
    const finding earlier = look(again, s.how, s.before_last, true);
    if (earlier.exact()) {
      ++sums.ended_earlier;
      return;
    }
  }
  INFO(d.file << ": " << d.what);
  INFO(found.words());
  if (!found.wrong.empty()) {
    CHECK(found.wrong == "");
    return;
  }
  if (found.failures.empty()) {
    ++sums.exact;
    return;
  }
  ++sums.refused;
  for (const failure& f : found.failures) {
    ++sums.codes[f.code.value()];
    INFO(f.place << ": " << f.text);
    const bool known = documented(f.code);
    CHECK(known);
    CHECK_FALSE(f.file.empty());
    if (!between_files(f.code)) CHECK(is_path_of(f.file, d.file));
    const bool of_page = f.code == errc::read_verify_failure || f.code == errc::page_number_mismatch || f.code == errc::log_file_corrupt;
    if (of_page) CHECK(f.offset.has_value());
  }
  // A recovery that refuses has changed nothing.
  if (!found.opened) CHECK((without_aids(disk.files(s.how.directory)) == before));
}

void tell(const char* what, const tally& sums) {
  if (std::getenv("CONTRAIL_TEST_TELL") == nullptr) return;
  std::printf("%s: %llu exact, %llu refused, %llu without the last commit;", what, static_cast<unsigned long long>(sums.exact),
              static_cast<unsigned long long>(sums.refused), static_cast<unsigned long long>(sums.ended_earlier));
  for (const auto& [code, count] : sums.codes) std::printf(" %d: %llu", code, static_cast<unsigned long long>(count));
  std::printf("\n");
}

void judge_all(const scene& s, const char* what) {
  tally sums;
  std::mt19937_64 random(sweep::disk_seed());
  const std::uint64_t step = sweep::step(sweep::sanitized ? 40 : 4);
  std::uint64_t number = sweep::disk_seed();
  const auto files = s.disk.files(s.how.directory);
  for (const auto& [name, bytes] : files) {
    for (const damage& d : damages_of(name, bytes, random)) {
      const bool always = d.what == "removed" || d.what == "empty";
      if (always || number++ % step == 0) judge(s, d, sums);
    }
  }
  tell(what, sums);
  CHECK(sums.exact > 0);
  CHECK(sums.refused > 0);
}

}  // namespace

TEST_CASE("pagestore_damage: a store as it was left is what was committed", "[pagestore_damage]") {
  for (const bool clean : {false, true}) {
    for (const bool circular : {false, true}) {
      scene_plan plan;
      plan.clean = clean;
      plan.circular = circular;
      scene s = make_scene(plan);
      CHECK(s.expected.size() > 20);
      CHECK(s.disk.files("/store").size() >= 7);
      const finding found = look(s.disk, s.how, s.expected, true);
      CHECK(found.words() == "");
      CHECK(found.opened);
    }
  }
}

TEST_CASE("pagestore_damage: one file of a killed store is damaged", "[pagestore_damage]") {
  const scene s = make_scene(scene_plan());
  judge_all(s, "killed");
}

TEST_CASE("pagestore_damage: one file of a killed store with circular logging is damaged", "[pagestore_damage]") {
  scene_plan plan;
  plan.circular = true;
  plan.seed = 2;
  const scene s = make_scene(plan);
  judge_all(s, "circular");
}

TEST_CASE("pagestore_damage: one file of a store that ended cleanly is damaged", "[pagestore_damage]") {
  scene_plan plan;
  plan.clean = true;
  plan.seed = 3;
  const scene s = make_scene(plan);
  judge_all(s, "clean");
}

TEST_CASE("pagestore_damage: both copies of a header, and of the checkpoint", "[pagestore_damage]") {
  for (const bool clean : {false, true}) {
    scene_plan plan;
    plan.clean = clean;
    const scene s = make_scene(plan);
    for (const std::string name : {"a.db", "c.db", "edb.chk"}) {
      const std::string bytes = s.disk.read_file(s.how.directory / name);
      tally sums;
      for (const std::size_t at : {0U, 9U, 24U, 64U, 100U, 4095U}) {
        judge(s, damage(name, "both copies, byte " + std::to_string(at), flipped(flipped(bytes, at, 3), 4096 + at, 3)), sums);
      }
      // Logs tell all that the checkpoint says; nothing tells what the header says.
      if (name == "edb.chk") CHECK(sums.exact == 6);
      else CHECK(sums.codes[static_cast<int>(errc::database_corrupted)] == 6);
    }
  }
}

TEST_CASE("pagestore_damage: each bit of the last commit that was confirmed is missed", "[pagestore_damage]") {
  const scene s = make_scene(scene_plan());
  const std::string bytes = s.disk.read_file("/store/edb.log");
  std::size_t last = 8;
  for (std::size_t i = 8; i < bytes.size() / 512; ++i) {
    if (!is_zero(bytes, i * 512, 512)) last = i;
  }
  REQUIRE(last > 16);
  tally sums;
  const std::uint64_t step = sweep::step(sweep::sanitized ? 20 : 4) * 5;
  std::uint64_t count = 0;
  for (std::size_t bit = last * 512 * 8 - 8 * 512; bit < (last + 1) * 512 * 8; bit += step) {
    judge(s, damage("edb.log", "bit " + std::to_string(bit), flipped(bytes, bit / 8, static_cast<unsigned>(bit % 8))), sums);
    ++count;
  }
  CHECK(sums.codes[static_cast<int>(errc::log_file_corrupt)] == count);
}

TEST_CASE("pagestore_damage: a file of another store stands in the place of one", "[pagestore_damage]") {
  for (const bool clean : {false, true}) {
    scene_plan plan;
    plan.clean = clean;
    const scene s = make_scene(plan);
    plan.seed = 9;
    const scene other = make_scene(plan);
    tally sums;
    for (const auto& [name, bytes] : other.disk.files("/store")) {
      if (!s.disk.exists(s.how.directory / name) || name == "edb.lock" || name == "edbtmp.log") continue;
      const bool database = ends_with(name, ".db");
      // One that is clean may come from anywhere: that is how databases move.
      if (database && (clean || name == "c.db")) continue;
      const std::uint64_t refused = sums.refused;
      judge(s, damage(name, "of another store", bytes), sums);
      const bool needed = name == "edb.log" || name == "edb.chk" || database;
      INFO(name);
      if (needed) CHECK(sums.refused == refused + 1);
    }
    if (!clean) CHECK(sums.codes[static_cast<int>(errc::attached_database_mismatch)] >= 2);
    CHECK(sums.codes[static_cast<int>(errc::bad_checkpoint_signature)] >= 1);
  }
}

TEST_CASE("pagestore_damage: a file of a killed store as it was some time ago", "[pagestore_damage]") {
  const scene s = make_scene(scene_plan());
  tally sums;
  for (const auto& [name, bytes] : s.earlier) {
    // An end of the log that is gone, without a trace of it, is what a power failure may leave.
    if (name == "edb.log" || name == "edb.lock" || name == "edbtmp.log") continue;
    judge(s, damage(name, "as it was", bytes), sums);
  }
  CHECK(sums.exact + sums.refused >= 4);
}

TEST_CASE("pagestore_damage: two logs have changed places", "[pagestore_damage]") {
  const scene s = make_scene(scene_plan());
  const auto files = s.disk.files("/store");
  std::vector<std::string> logs;
  for (const auto& [name, bytes] : files) {
    if (is_log(name)) logs.push_back(name);
  }
  REQUIRE(logs.size() >= 4);
  for (std::size_t i = 0; i + 1 < logs.size(); ++i) {
    simulated_disk disk = s.disk.after_crash(contrail::io::crash_mode::best);
    disk.write_file(s.how.directory / logs[i], files.at(logs[i + 1]));
    disk.write_file(s.how.directory / logs[i + 1], files.at(logs[i]));
    const finding found = look(disk, s.how, s.expected, true);
    INFO(logs[i] << " and " << logs[i + 1] << found.words());
    CHECK(found.wrong == "");
    for (const failure& f : found.failures) CHECK(documented(f.code));
    // Those below the checkpoint are not asked.
    if (i + 2 == logs.size() || logs[i + 1] == "edb.log") CHECK_FALSE(found.exact());
  }
}

TEST_CASE("pagestore_damage: on real files as well", "[pagestore_damage]") {
  temp_directory dir;
  const scene s = make_scene(scene_plan());
  const auto files = s.disk.files("/store");
  std::mt19937_64 random(5);
  std::uint64_t exact = 0, refused = 0;
  std::uint64_t number = 0;
  const std::size_t of_each = sweep::step(1) > 10 ? 5 : 12;
  const auto look_there = [&](const std::filesystem::path& place) {
    parameters how = s.how;
    how.directory = place;
    finding out;
    content expected = s.expected;
    run_bounded([&](asio::any_io_executor ex) { return look_once(ex, contrail::io::file_system::of(ex), how, expected, true, out); });
    return out;
  };
  for (const auto& [name, bytes] : files) {
    const std::vector<damage> all = damages_of(name, bytes, random);
    for (std::size_t i = 0; i < all.size(); i += 1 + all.size() / of_each) {
      const std::filesystem::path place = dir / ("store" + std::to_string(number++));
      std::filesystem::create_directory(place);
      for (const auto& [other, whole] : files) write_file(place / other, whole);
      if (all[i].end_may_go) continue;
      if (all[i].bytes) write_file(place / name, *all[i].bytes);
      else std::filesystem::remove(place / name);
      const finding found = look_there(place);
      INFO(name << ": " << all[i].what << found.words());
      CHECK(found.wrong == "");
      for (const failure& f : found.failures) {
        INFO(f.place << ": " << f.text);
        const bool known = documented(f.code);
        CHECK(known);
        CHECK_FALSE(f.file.empty());
      }
      ++(found.failures.empty() ? exact : refused);
      std::filesystem::remove_all(place);
    }
  }
  CHECK(exact > 10);
  CHECK(refused > 10);
}
