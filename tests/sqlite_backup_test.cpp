#include "support/run.hpp"
#include "support/sqlite_processes.hpp"
#include "support/temp_directory.hpp"

#include "cli/bank.hpp"
#include "format/digest.hpp"

#include <contrail/backup.hpp>
#include <contrail/engines/sqlite.hpp>
#include <contrail/restore.hpp>
#include <contrail/sinks/directory.hpp>
#include <contrail/verify.hpp>

#include <asio/io_context.hpp>

#include <catch2/catch.hpp>

#include <cstring>
#include <fstream>
#include <map>

using namespace contrail;

namespace {

constexpr unsigned writers = 3;
// Bytes a second: a copy takes seconds, in which the log is started anew many times where nothing pins it.
constexpr std::uint64_t pace = std::uint64_t{2} << 20;

std::string salts(const std::filesystem::path& database) {
  std::string front(32, '\0');
  std::ifstream log(database.string() + "-wal", std::ios::binary);
  log.read(front.data(), 32);
  return front.substr(16, 8);
}

bank::writer_options paced() {
  bank::writer_options out;
  out.writers = writers;
  out.pause = std::chrono::milliseconds(30);
  out.transfers = 2;
  out.checkpoint_pages = 40;
  return out;
}

struct one_prover final : restorer_registry {
  explicit one_prover(restorer& with) : with_(with) {}
  restorer* find(std::string_view engine) override { return engine == with_.engine() ? &with_ : nullptr; }
  restorer& with_;
};

/// The journal of `found` ends between two sets of acknowledged numbers. A writer may have committed one more than it was acknowledged.
void check_between(const bank::findings& found, const std::vector<std::uint64_t>& before, const std::vector<std::uint64_t>& after) {
  INFO(found.problem);
  REQUIRE(found.sound);
  for (unsigned i = 0; i < writers; ++i) {
    CHECK(found.last[i] >= before[i]);
    CHECK(found.last[i] <= after[i] + 1);
  }
}

}  // namespace

TEST_CASE("sqlite backup: every set taken under paced writers is one moment of the bank; a plain copy is not", "[sqlite_backup]") {
  const temp_directory place;
  const auto file = place / "bank.db";
  bank::create_options size;
  size.accounts = 6000;
  size.page_bytes = 1024;
  bank::create(file, size);
  bank::writers clerks(file, paced());
  REQUIRE(clerks.advance(20));

  std::map<std::string, std::pair<std::vector<std::uint64_t>, std::vector<std::uint64_t>>> acknowledged;
  unsigned changed = 0;
  {
    asio::io_context context;
    sqlite_engine from(context.get_executor(), file);
    directory_repository vault(context.get_executor(), place / "vault");
    backup_options options;
    options.rate_limit = pace;
    for (int round = 0; round < 3; ++round) {
      // Between two backups the log must have been started anew, or the case would be too easy.
      const std::string last = salts(file);
      REQUIRE(clerks.advance(20));
      changed += salts(file) != last ? 1U : 0U;
      const auto before = clerks.acknowledged();
      backup_report report;
      run_on(context, 1, [&]() -> asio::awaitable<void> { report = co_await backup(from, vault, options); });
      const auto after = clerks.acknowledged();
      CHECK(after != before);
      CHECK(report.files >= 1);
      acknowledged.emplace(report.set, std::pair(before, after));
    }
  }
  CHECK(changed == 3);

  unsigned broken = 0;
  for (int round = 0; round < 3; ++round) {
    const auto copy = place / ("plain-" + std::to_string(round) + ".db");
    bank::plain_copy(file, copy, pace);
    const auto found = bank::check(copy);
    broken += found.sound ? 0U : 1U;
  }
  WARN("plain copies that broke: " << broken << " of 3");
  CHECK(broken >= 1);
  clerks.stop();
  CHECK(bank::check(file).sound);

  asio::io_context context;
  directory_repository vault(context.get_executor(), place / "vault");
  sqlite_restorer with(context.get_executor());
  one_prover provers(with);
  verify_report proof;
  run_on(context, 1, [&]() -> asio::awaitable<void> { proof = co_await verify(vault, &provers); });
  REQUIRE(proof.sets.size() == 3);
  for (const verify_entry& set : proof.sets) {
    CHECK(set.damage.empty());
    CHECK(set.proven);
    restore_options options;
    options.set = set.set;
    const auto into = place / ("restored-" + set.set);
    run_on(context, 1, [&]() -> asio::awaitable<void> { (void)co_await restore(vault, with, into, options); });
    REQUIRE(std::filesystem::exists(into / "bank.db"));
    CHECK_FALSE(std::filesystem::exists(into / "bank.db.wal"));
    check_between(bank::check(into / "bank.db"), acknowledged.at(set.set).first, acknowledged.at(set.set).second);
  }
}

TEST_CASE("sqlite backup: a proof finds a log that lacks a frame though every digest is right", "[sqlite_backup]") {
  // The bytes come from a sink that leaves one frame out: what a broken tool might have stored.
  const temp_directory place;
  const auto file = place / "app.db";
  test::make_wal_database(file, 100);
  test::sqlite_shell writer(file);
  writer.ask("PRAGMA wal_autocheckpoint=0; " + test::add_rows(20) + test::add_rows(20) + test::add_rows(20));

  struct short_writer final : set_writer {
    explicit short_writer(std::unique_ptr<set_writer> inner) : to(std::move(inner)) {}
    asio::awaitable<file_id> open(const file_info& what) override {
      const file_id id = co_await to->open(what);
      log = what.role == file_role::log;
      co_return id;
    }
    asio::awaitable<void> write(file_id id, std::uint64_t offset, io::lease data, std::size_t bytes) override {
      if (log) {
        kept.append(static_cast<const char*>(data.buffer().data()), bytes);
        last = std::move(data);
        co_return;
      }
      co_await to->write(id, offset, std::move(data), bytes);
    }
    asio::awaitable<void> close(file_id id, const file_end& end) override {
      file_end changed = end;
      if (log) {
        constexpr std::size_t frame = 24 + 4096;
        kept.resize(static_cast<std::size_t>(end.valid));
        kept.erase(32 + 2 * frame, frame);
        REQUIRE(kept.size() <= last.buffer().size());
        std::memcpy(last.buffer().data(), kept.data(), kept.size());
        digest sum;
        sum.update(asio::buffer(kept));
        changed.bytes = changed.valid = kept.size();
        changed.digest = sum.text();
        co_await to->write(id, 0, std::move(last), kept.size());
      }
      co_await to->close(id, changed);
    }
    asio::awaitable<void> drop(file_id id, std::error_code why) override { return to->drop(id, why); }
    asio::awaitable<void> commit(manifest& info) override { return to->commit(info); }
    asio::awaitable<void> abort() override { return to->abort(); }
    set_position position() const noexcept override { return to->position(); }
    std::unique_ptr<set_writer> to;
    bool log = false;
    std::string kept;
    io::lease last;
  };
  struct short_sink final : sink {
    explicit short_sink(sink& inner) : to(inner) {}
    asio::awaitable<std::unique_ptr<set_writer>> begin(const set_header& header) override {
      std::unique_ptr<set_writer> inner = co_await to.begin(header);
      co_return std::make_unique<short_writer>(std::move(inner));
    }
    sink& to;
  };

  asio::io_context context;
  sqlite_engine from(context.get_executor(), file);
  directory_repository vault(context.get_executor(), place / "vault");
  sqlite_restorer with(context.get_executor());
  one_prover provers(with);
  short_sink leaky(vault);
  verify_report plain, proof;
  std::error_code restored;
  run_on(context, 1, [&]() -> asio::awaitable<void> {
    (void)co_await backup(from, leaky);
    plain = co_await verify(vault);
    proof = co_await verify(vault, &provers);
    try {
      (void)co_await restore(vault, with, place / "restored");
    } catch (const error& problem) {
      restored = problem.code();
    }
  });
  REQUIRE(plain.sets.size() == 1);
  CHECK(plain.sets.front().damage.empty());   // every digest is right
  REQUIRE(proof.sets.size() == 1);
  REQUIRE(proof.sets.front().damage.size() == 1);
  INFO(proof.sets.front().damage.front().what);
  CHECK(proof.sets.front().damage.front().what.find("frames") != std::string::npos);
  CHECK_FALSE(proof.sets.front().proven);
  CHECK(restored);
  CHECK_FALSE(std::filesystem::exists(place / "restored" / "app.db"));
}

TEST_CASE("sqlite backup: the bank's own check sees what is wrong", "[sqlite_backup]") {
  const temp_directory place;
  const auto file = place / "bank.db";
  bank::create(file);
  bank::writers clerks(file, paced());
  REQUIRE(clerks.advance(5));
  clerks.stop();
  const auto good = bank::check(file);
  REQUIRE(good.sound);
  CHECK(good.transactions >= 5 * writers);
  const auto fails_after = [&](const std::string& sql) {
    const auto copy = place / "copy.db";
    std::filesystem::remove(copy);   // the C++ library of mingw-w64 does not overwrite
    std::filesystem::copy_file(file, copy);
    const std::string said = test::sqlite_run(copy, sql);
    CHECK(said.empty());
    const auto found = bank::check(copy);
    CHECK(found.problem.empty() == found.sound);
    return !found.sound;
  };
  CHECK_FALSE(fails_after("SELECT 1 WHERE 0;"));
  CHECK(fails_after("DELETE FROM journal WHERE writer = 1 AND seq = 2;"));
  CHECK(fails_after("DELETE FROM journal WHERE writer = 1 AND seq = 2 AND line = 1;"));
  CHECK(fails_after("DELETE FROM journal WHERE writer = 1 AND seq = 1;"));
  CHECK(fails_after("UPDATE account SET balance = balance + 1 WHERE id = 7;"));
  CHECK_FALSE(bank::check(place / "nothing.db").sound);
}
