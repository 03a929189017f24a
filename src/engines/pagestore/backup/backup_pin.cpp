#include "engines/pagestore/backup/backup_pin.hpp"

#include "engines/pagestore/backup/database_source.hpp"
#include "engines/pagestore/backup/log_source.hpp"
#include "engines/pagestore/format/log_names.hpp"

#include <contrail/error.hpp>
#include "source/one_batch.hpp"

#include <algorithm>
#include <utility>

namespace contrail::pagestore {

namespace {

// A range of generations by name; there may be many.
class log_files final : public file_list {
 public:
  log_files(std::string base, std::uint64_t bytes, log_range range) : base_(std::move(base)), bytes_(bytes), rest_(range) {}
  asio::awaitable<std::vector<file_info>> next() override {
    std::vector<file_info> out;
    for (; !rest_.empty() && out.size() < at_once; ++rest_.first) {
      file_info one;
      one.name = log_name(base_, static_cast<std::uint32_t>(rest_.first));
      one.role = file_role::log;
      one.bytes = bytes_;
      one.log = rest_.first;
      out.push_back(std::move(one));
    }
    co_return out;
  }

 private:
  static constexpr std::size_t at_once = 256;
  std::string base_;
  std::uint64_t bytes_;
  log_range rest_;
};

}  // namespace

backup_pin::backup_pin(std::shared_ptr<instance_core> core, io::file_system fs, begin_request request, std::shared_ptr<running_backup> running)
    : core_(std::move(core)),
      fs_(std::move(fs)),
      policy_(request.reads),
      counters_(request.counters),
      shared_(std::make_shared<shared_state>()) {
  shared_->running = std::move(running);
}

backup_pin::~backup_pin() {
  if (!ended_) core_->forget_backup(shared_->running);
}

pin_cost backup_pin::cost() const noexcept {
  pin_cost out;
  out.log_bytes = core_->log_bytes() - shared_->running->log_bytes_at_begin;
  return out;
}

asio::awaitable<std::vector<database_info>> backup_pin::databases() {
  std::vector<database_info> all = co_await instance_core::call(core_, core_->backup_databases());
  listed_ = all;
  co_return all;
}

asio::awaitable<std::unique_ptr<file_list>> backup_pin::files(database_id id) {
  std::vector<file_info> list;
  const std::vector<database_info> now = co_await instance_core::call(core_, core_->backup_databases());
  for (const database_info& d : now) {
    if (!(d.id == id)) continue;
    file_info one;
    one.name = d.restore_name;
    one.role = file_role::database;
    one.bytes = (d.pages + 2) * d.page_bytes;
    list.push_back(std::move(one));
  }
  std::unique_ptr<file_list> out = std::make_unique<detail::one_batch>(std::move(list));
  co_return out;
}

asio::awaitable<log_cut> backup_pin::close_generation() {
  const log_cut cut = co_await instance_core::call(core_, core_->close_backup_logs(shared_->running));
  co_return cut;
}

asio::awaitable<std::unique_ptr<file_list>> backup_pin::logs(log_range range) {
  std::unique_ptr<file_list> out = std::make_unique<log_files>(core_->how().base_name, core_->how().log_file_size, range);
  co_return out;
}

std::uint8_t backup_pin::id_of(const file_info& file) const {
  const auto at = std::find_if(listed_.begin(), listed_.end(), [&](const database_info& d) { return d.restore_name == file.name; });
  if (at == listed_.end()) fail(errc::database_not_found, "copy database", file.name);
  return static_cast<std::uint8_t>(at->id.value);
}

asio::awaitable<std::unique_ptr<source>> backup_pin::open(const file_info& file) {
  const std::shared_ptr<shared_state> shared = shared_;
  if (file.role == file_role::log) {
    const auto generation = static_cast<std::uint32_t>(file.log);
    log_copy what = co_await instance_core::call(core_, core_->find_closed_log(generation));
    const std::function<void()> done = [shared, generation] { shared->logs.insert(generation); };
    std::unique_ptr<source> log = co_await open_log_source(fs_, std::move(what), generation, done);
    co_return log;
  }
  const std::uint8_t id = id_of(file);
  const std::string name = file.name;
  const std::function<void(const database_copy&)> done = [shared, id, name](const database_copy& copy) {
    set_state::member& m = shared->databases[id];
    m.name = name;
    m.path = copy.stored_path;
    m.database = copy.header.database;
    m.pages = copy.pages;
  };
  std::unique_ptr<source> database = co_await open_database_source(core_, fs_, shared_->running, id, policy_, counters_, done);
  co_return database;
}

asio::awaitable<void> backup_pin::delete_logs(log_range range) { co_await instance_core::call(core_, core_->delete_logs(range)); }

asio::awaitable<void> backup_pin::record(const outcome& result) {
  outcome named(result);
  co_await instance_core::call(core_, core_->record_backup(shared_->running, std::move(named)));
}

asio::awaitable<std::string> backup_pin::state() {
  const running_backup& b = *shared_->running;
  set_state out;
  out.base_name = core_->how().base_name;
  out.page_size = core_->how().page_size;
  out.log_file_size = core_->how().log_file_size;
  out.log = b.log;
  out.mark = b.at.position;
  out.low = b.low;
  out.high = b.end - 1;
  for (std::uint32_t g = b.low; g < b.end; ++g) {
    if (shared_->logs.count(g) != 0) continue;
    fail(errc::logs_not_copied, "finish the backup", log_name(out.base_name, g), {}, "a log that was copied to its end", "one that was not");
  }
  for (const auto& [id, m] : shared_->databases) out.databases.push_back(m);
  std::string text = out.write();
  co_return text;
}

asio::awaitable<void> backup_pin::end(bool committed) {
  if (ended_) co_return;
  co_await instance_core::call(core_, core_->end_backup(shared_->running, committed));
  ended_ = true;
}

}  // namespace contrail::pagestore
