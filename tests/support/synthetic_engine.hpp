#pragma once

#include <contrail/engine.hpp>
#include <contrail/error.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// An engine without disk: databases, logs and labels in memory, with faults on demand. Everything that a session may ask is counted, so
/// that a test can tell whether all was given back.
namespace synthetic {

using contrail::errc;

/// One file and what goes wrong with it.
struct file {
  file() = default;
  file(std::string n, std::string c) : name(std::move(n)), content(std::move(c)) {}
  std::string name;
  std::string content;
  std::string trailer;
  contrail::file_role role = contrail::file_role::database;
  contrail::generation log = 0;
  std::size_t granularity = 1;
  bool may_vanish = false;
  bool unchanged = false;
  std::optional<std::uint64_t> valid;                 ///< what finish says; else all
  std::optional<std::size_t> shrinks_to;              ///< reads end there, the size at open is the full one
  std::map<std::uint64_t, errc> fails_at;             ///< a read that covers the offset fails
  std::map<std::uint64_t, errc> fold_fails_at;
  std::optional<errc> open_fails;
  std::optional<errc> finish_fails;
  unsigned restarts = 0;                              ///< how many times finish says that the file started anew
  std::map<std::uint64_t, unsigned> torn;             ///< so many tries find a bad page there; counted as retried
};

struct database {
  database() = default;
  database(std::uint32_t id, std::string n) : name(n), restore_name(std::move(n)) { number.value = id; }
  contrail::database_id number;
  std::string name, restore_name;
  std::vector<file> files;
  std::optional<contrail::database_info::recorded> last_full, last_incremental;
};

/// What the engine is and what it counts; shared with pins, so that a pin may outlive the engine's handle.
struct world {
  contrail::engine_traits traits;
  std::vector<database> databases;
  std::map<contrail::generation, file> logs;
  std::vector<file> labels;
  contrail::generation checkpoint = 1;
  contrail::generation current = 1;
  std::error_code status;
  std::optional<errc> begin_fails, databases_fail, close_generation_fails, logs_fail, state_fails, record_fails, end_fails, mark_fails;
  std::optional<contrail::generation> delete_fails_at;
  std::chrono::microseconds read_time{0};             ///< 0: one turn of the loop
  int begin_turns = 1;                                ///< turns of the loop that begin takes with the pin made
  std::atomic<bool> state_waits{false};               ///< state() hangs until cancelled
  std::atomic<std::uint64_t> log_growth{0};
  std::string state = "state";

  std::atomic<bool> slot{false};
  std::atomic<int> pins{0}, begun{0}, ended_committed{0}, ended_aborted{0}, sources{0}, held{0}, reads{0}, most_reads{0}, calls{0}, generations_closed{0};
  std::mutex mutex;                                   ///< for what follows
  std::vector<contrail::outcome> recorded;
  std::vector<contrail::generation> deleted;
  std::function<void(std::error_code)> on_lost;
  contrail::begin_request seen;

  world() {
    traits.name = "synthetic";
    traits.version = "1";
    traits.logs = traits.roll = traits.truncate = traits.incremental = traits.records = true;
  }
  bool idle() const { return !slot && pins == 0 && sources == 0 && held == 0 && reads == 0; }
  database& add_database(std::string name, std::string content) {
    database& d = databases.emplace_back(static_cast<std::uint32_t>(databases.size() + 1), name);
    d.files.emplace_back(std::move(name), std::move(content));
    return d;
  }
  void add_log(contrail::generation g, std::string content) {
    file f("log" + std::to_string(g), std::move(content));
    f.role = contrail::file_role::log;
    f.log = g;
    logs.emplace(g, std::move(f));
    current = std::max(current, g);
  }
};
using world_ptr = std::shared_ptr<world>;

inline asio::awaitable<void> pass(std::chrono::microseconds time) {
  auto ex = co_await asio::this_coro::executor;
  if (time.count() == 0) {
    co_await asio::post(ex, asio::use_awaitable);
    co_return;
  }
  asio::steady_timer timer(ex, time);
  co_await timer.async_wait(asio::use_awaitable);
}

/// Counts while it lives.
class counted {
 public:
  explicit counted(std::atomic<int>& n) : n_(n) { ++n_; }
  counted(const counted&) = delete;
  counted& operator=(const counted&) = delete;
  ~counted() { --n_; }

 private:
  std::atomic<int>& n_;
};

class list final : public contrail::file_list {
 public:
  explicit list(std::vector<contrail::file_info> files, std::size_t batch = 2) : files_(std::move(files)), batch_(batch) {}
  asio::awaitable<std::vector<contrail::file_info>> next() override {
    const std::chrono::microseconds turn{0};
    co_await pass(turn);
    std::vector<contrail::file_info> out;
    while (at_ < files_.size() && out.size() < batch_) out.push_back(files_[at_++]);
    co_return out;
  }

 private:
  std::vector<contrail::file_info> files_;
  std::size_t batch_;
  std::size_t at_ = 0;
};

class source final : public contrail::source {
 public:
  source(world_ptr w, file* f, contrail::read_counters* counters) : world_(std::move(w)), file_(f), counters_(counters), mine_(world_->sources) {}
  std::uint64_t bytes() const noexcept override { return file_->content.size(); }
  std::size_t trailer_bytes() const noexcept override { return file_->trailer.size(); }
  std::size_t granularity() const noexcept override { return file_->granularity; }

  asio::awaitable<std::size_t> read(std::uint64_t offset, asio::mutable_buffer into) override {
    const counted one(world_->reads);
    int most = world_->most_reads.load();
    while (world_->reads > most && !world_->most_reads.compare_exchange_weak(most, world_->reads.load())) {
    }
    for (;;) {
      {
        const counted hold(world_->held);   // the range hold: one try long
        co_await pass(world_->read_time);
      }
      if (offset % file_->granularity != 0) contrail::fail(errc::invalid_parameter, "read", file_->name, offset);
      const auto torn = within(file_->torn, offset, into.size());
      if (torn == file_->torn.end() || torn->second == 0) break;
      --torn->second;
      if (counters_ != nullptr) counters_->pages_retried.fetch_add(1);
    }
    const auto bad = within(file_->fails_at, offset, into.size());
    if (bad != file_->fails_at.end()) contrail::fail(bad->second, "read page", file_->name, bad->first);
    const std::size_t end = file_->shrinks_to ? std::min(*file_->shrinks_to, file_->content.size()) : file_->content.size();
    if (offset >= end) co_return std::size_t{0};
    const auto at = static_cast<std::size_t>(offset);
    const std::size_t n = std::min(into.size(), end - at);
    std::memcpy(into.data(), file_->content.data() + at, n);
    if (counters_ != nullptr) counters_->pages.fetch_add(1);
    co_return n;
  }
  std::error_code fold(std::uint64_t offset, asio::const_buffer chunk) override {
    if (offset != folded_) return make_error_code(errc::invalid_backup_sequence);   // in order, without gaps
    folded_ += chunk.size();
    const auto bad = within(file_->fold_fails_at, offset, chunk.size());
    return bad == file_->fold_fails_at.end() ? std::error_code() : make_error_code(bad->second);
  }
  asio::awaitable<std::uint64_t> finish(asio::mutable_buffer trailer) override {
    const std::chrono::microseconds turn{0};
    co_await pass(turn);
    if (file_->restarts != 0) {
      --file_->restarts;
      contrail::fail(errc::source_restarted, "read log", file_->name);
    }
    if (file_->finish_fails) contrail::fail(*file_->finish_fails, "finish", file_->name);
    if (trailer.size() != file_->trailer.size()) contrail::fail(errc::buffer_too_small, "finish", file_->name);
    std::memcpy(trailer.data(), file_->trailer.data(), trailer.size());
    co_return file_->valid ? *file_->valid : folded_;
  }

 private:
  template <typename Map>
  static typename Map::iterator within(Map& map, std::uint64_t offset, std::size_t bytes) {
    const auto at = map.lower_bound(offset);
    return at != map.end() && at->first < offset + bytes ? at : map.end();
  }
  world_ptr world_;
  file* file_;
  contrail::read_counters* counters_;
  counted mine_;
  std::uint64_t folded_ = 0;
};

class pin final : public contrail::pin {
 public:
  pin(world_ptr w, contrail::read_counters* counters) : world_(std::move(w)), counters_(counters) { ++world_->pins; }
  ~pin() override {
    const std::lock_guard lock(world_->mutex);
    world_->on_lost = nullptr;
    --world_->pins;
  }
  contrail::mark at() const noexcept override {
    contrail::mark m;
    m.position = 7;
    return m;
  }
  contrail::pin_cost cost() const noexcept override {
    contrail::pin_cost c;
    c.log_bytes = world_->log_growth;
    return c;
  }
  asio::awaitable<std::vector<contrail::database_info>> databases() override {
    co_await step();
    check(world_->databases_fail, "databases");
    std::vector<contrail::database_info> out;
    for (const database& d : world_->databases) {
      contrail::database_info i;
      i.id = d.number;
      i.name = d.name;
      i.restore_name = d.restore_name;
      i.page_bytes = 4096;
      for (const file& f : d.files) i.pages += f.content.size() / 4096;
      i.last_full = d.last_full;
      i.last_incremental = d.last_incremental;
      out.push_back(std::move(i));
    }
    co_return out;
  }
  asio::awaitable<std::unique_ptr<contrail::file_list>> files(contrail::database_id id) override {
    co_await step();
    std::vector<contrail::file_info> out;
    for (database& d : world_->databases)
      if (d.number == id)
        for (file& f : d.files) out.push_back(describe(f));
    co_return std::make_unique<list>(std::move(out));
  }
  asio::awaitable<contrail::log_cut> close_generation() override {
    ++world_->generations_closed;
    for (int i = 0; i < 5; ++i) co_await step();
    check(world_->close_generation_fails, "close generation");
    contrail::log_cut cut;
    cut.first_present = world_->logs.empty() ? world_->current : world_->logs.begin()->first;
    cut.checkpoint = world_->checkpoint;
    cut.copy.first = std::max(world_->checkpoint, cut.first_present);
    cut.copy.end = world_->current + 1;
    ++world_->current;
    co_return cut;
  }
  asio::awaitable<std::unique_ptr<contrail::file_list>> logs(contrail::log_range range) override {
    co_await step();
    check(world_->logs_fail, "list logs");
    std::vector<contrail::file_info> out;
    for (auto& [g, f] : world_->logs)
      if (g >= range.first && g < range.end) out.push_back(describe(f));
    for (file& f : world_->labels) out.push_back(describe(f));
    co_return std::make_unique<list>(std::move(out));
  }
  asio::awaitable<std::unique_ptr<contrail::source>> open(const contrail::file_info& info) override {
    const std::string name = info.name;
    co_await step();
    file* const f = find(name);
    if (f == nullptr) contrail::fail(errc::file_not_found, "open", name);
    check(f->open_fails, "open");
    co_return std::make_unique<source>(world_, f, counters_);
  }
  asio::awaitable<void> delete_logs(contrail::log_range range) override {
    for (contrail::generation g = range.first; g < range.end; ++g) {
      co_await step();
      if (world_->delete_fails_at == g) contrail::fail(errc::file_access_denied, "delete log", "log" + std::to_string(g));
      world_->logs.erase(g);
      world_->deleted.push_back(g);
    }
  }
  asio::awaitable<void> record(const contrail::outcome& result) override {
    contrail::outcome copy = result;
    co_await step();
    check(world_->record_fails, "record");
    world_->recorded.push_back(std::move(copy));
  }
  asio::awaitable<std::string> state() override {
    co_await step();
    const std::chrono::microseconds turn{200};
    while (world_->state_waits) co_await pass(turn);
    check(world_->state_fails, "state");
    co_return world_->state;
  }
  asio::awaitable<void> end(bool committed) override {
    co_await step();
    ++(committed ? world_->ended_committed : world_->ended_aborted);
    check(world_->end_fails, "end");
  }

 private:
  asio::awaitable<void> step() {
    ++world_->calls;
    const std::chrono::microseconds turn{0};
    return pass(turn);
  }
  static void check(const std::optional<errc>& fault, const char* what) {
    if (fault) contrail::fail(*fault, what);
  }
  file* find(const std::string& name) {
    for (database& d : world_->databases)
      for (file& f : d.files)
        if (f.name == name) return &f;
    for (auto& [g, f] : world_->logs)
      if (f.name == name) return &f;
    for (file& f : world_->labels)
      if (f.name == name) return &f;
    return nullptr;
  }
  static contrail::file_info describe(const file& f) {
    contrail::file_info i;
    i.name = f.name;
    i.role = f.role;
    i.bytes = f.content.size();
    i.log = f.log;
    i.may_vanish = f.may_vanish;
    i.unchanged = f.unchanged;
    return i;
  }

  world_ptr world_;
  contrail::read_counters* counters_;
};

class engine final : public contrail::engine {
 public:
  engine(asio::any_io_executor ex, world_ptr w) : ex_(std::move(ex)), world_(std::move(w)) {}
  asio::any_io_executor get_executor() const noexcept override { return ex_; }
  const contrail::engine_traits& traits() const noexcept override { return world_->traits; }
  std::error_code status() const noexcept override { return world_->status; }
  asio::awaitable<std::shared_ptr<void>> claim() override {
    const std::chrono::microseconds turn{0};
    co_await pass(turn);
    if (world_->slot.exchange(true)) contrail::fail(errc::backup_in_progress, "claim");
    const world_ptr w = world_;
    std::shared_ptr<void> held(w.get(), [w](void*) { w->slot = false; });
    co_return held;
  }
  asio::awaitable<std::unique_ptr<contrail::pin>> begin(contrail::begin_request request) override {
    const std::chrono::microseconds turn{0};
    co_await pass(turn);
    if (world_->begin_fails) contrail::fail(*world_->begin_fails, "begin");
    ++world_->begun;
    {
      const std::lock_guard lock(world_->mutex);
      world_->on_lost = request.on_lost;
      world_->seen = request;
      world_->seen.on_lost = nullptr;
    }
    std::unique_ptr<contrail::pin> p = std::make_unique<pin>(world_, request.counters);
    for (int i = 0; i < world_->begin_turns; ++i) co_await pass(turn);
    co_return p;
  }
  asio::awaitable<void> close() { return join_sessions(); }

 private:
  asio::any_io_executor ex_;
  world_ptr world_;
};

}  // namespace synthetic
