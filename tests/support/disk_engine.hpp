#pragma once

#include <contrail/engine.hpp>
#include <contrail/error.hpp>
#include <contrail/io/file_system.hpp>
#include <contrail/manifest.hpp>
#include <contrail/restorer.hpp>
#include <contrail/source.hpp>
#include <contrail/verify.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <asio/post.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

/// An engine whose databases and logs are plain files of any file system, and its restorer: whatever they do is an operation of that
/// file system, so that it can be made to fail there.
namespace disk_engine {

struct database {
  database(std::string n, std::vector<std::string> f) : name(std::move(n)), files(std::move(f)) {}
  std::string name;
  std::vector<std::string> files;   ///< relative to the place
};

/// What stands where. Shared with pins.
struct layout {
  std::filesystem::path place;
  std::vector<database> databases;
  std::vector<std::string> logs;
  std::uint64_t announced = 0;      ///< length that the list of files tells, when it is more than the true one
  int pins = 0;
  int sources = 0;
};
using layout_ptr = std::shared_ptr<layout>;

inline asio::awaitable<void> turn() {
  const auto ex = co_await asio::this_coro::executor;
  co_await asio::post(ex, asio::use_awaitable);
}

class counted_source final : public contrail::source {
 public:
  counted_source(layout_ptr l, std::unique_ptr<contrail::source> s) : layout_(std::move(l)), inner_(std::move(s)) { ++layout_->sources; }
  ~counted_source() override { --layout_->sources; }
  std::uint64_t bytes() const noexcept override { return inner_->bytes(); }
  asio::awaitable<std::size_t> read(std::uint64_t offset, asio::mutable_buffer into) override { return inner_->read(offset, into); }
  std::error_code fold(std::uint64_t offset, asio::const_buffer chunk) override { return inner_->fold(offset, chunk); }
  asio::awaitable<std::uint64_t> finish(asio::mutable_buffer trailer) override { return inner_->finish(trailer); }

 private:
  layout_ptr layout_;
  std::unique_ptr<contrail::source> inner_;
};

class list final : public contrail::file_list {
 public:
  explicit list(std::vector<contrail::file_info> files) : files_(std::move(files)) {}
  asio::awaitable<std::vector<contrail::file_info>> next() override {
    co_await turn();
    co_return std::exchange(files_, {});
  }

 private:
  std::vector<contrail::file_info> files_;
};

class pin final : public contrail::pin {
 public:
  pin(contrail::io::file_system fs, layout_ptr l) : fs_(std::move(fs)), layout_(std::move(l)) { ++layout_->pins; }
  ~pin() override { --layout_->pins; }
  contrail::mark at() const noexcept override { return {}; }
  contrail::pin_cost cost() const noexcept override { return {}; }

  asio::awaitable<std::vector<contrail::database_info>> databases() override {
    co_await turn();
    std::vector<contrail::database_info> out;
    for (const database& d : layout_->databases) {
      contrail::database_info i;
      i.id.value = static_cast<std::uint32_t>(out.size());
      i.name = d.name;
      i.restore_name = d.name;
      i.page_bytes = 512;
      out.push_back(std::move(i));
    }
    co_return out;
  }
  asio::awaitable<std::unique_ptr<contrail::file_list>> files(contrail::database_id id) override {
    std::vector<contrail::file_info> out;
    for (const std::string& name : layout_->databases[id.value].files) {
      contrail::file_info info = co_await describe(name);
      info.bytes = std::max(info.bytes, layout_->announced);
      out.push_back(std::move(info));
    }
    std::unique_ptr<contrail::file_list> made = std::make_unique<list>(std::move(out));
    co_return made;
  }
  asio::awaitable<contrail::log_cut> close_generation() override {
    co_await turn();
    contrail::log_cut cut;
    cut.first_present = cut.checkpoint = cut.copy.first = 1;
    cut.copy.end = 1 + layout_->logs.size();
    co_return cut;
  }
  asio::awaitable<std::unique_ptr<contrail::file_list>> logs(contrail::log_range range) override {
    std::vector<contrail::file_info> out;
    for (contrail::generation g = range.first; g < range.end; ++g) {
      contrail::file_info info = co_await describe(layout_->logs[g - 1]);
      info.role = contrail::file_role::log;
      info.log = g;
      out.push_back(std::move(info));
    }
    std::unique_ptr<contrail::file_list> made = std::make_unique<list>(std::move(out));
    co_return made;
  }
  asio::awaitable<std::unique_ptr<contrail::source>> open(const contrail::file_info& info) override {
    const std::filesystem::path path = layout_->place / info.name;
    contrail::io::open_options how;
    how.cache = contrail::io::caching::direct;
    contrail::io::random_access_file file = co_await fs_.async_open(path, how, asio::use_awaitable);
    const std::uint64_t bytes = file.facts().bytes;
    std::unique_ptr<contrail::source> plain = contrail::make_file_source(std::move(file), bytes);
    std::unique_ptr<contrail::source> out = std::make_unique<counted_source>(layout_, std::move(plain));
    co_return out;
  }
  asio::awaitable<void> delete_logs(contrail::log_range) override { co_return; }
  asio::awaitable<void> record(const contrail::outcome&) override { co_return; }
  asio::awaitable<std::string> state() override {
    co_await turn();
    co_return std::string("state");
  }
  asio::awaitable<void> end(bool) override { co_await turn(); }

 private:
  asio::awaitable<contrail::file_info> describe(std::string name) {
    const contrail::io::entry e = co_await fs_.async_stat(layout_->place / name, asio::use_awaitable);
    contrail::file_info info;
    info.name = std::move(name);
    info.bytes = e.facts.bytes;
    info.mode = 0640;
    co_return info;
  }

  contrail::io::file_system fs_;
  layout_ptr layout_;
};

class engine final : public contrail::engine {
 public:
  engine(contrail::io::file_system fs, layout_ptr l) : fs_(std::move(fs)), layout_(std::move(l)) {
    traits_.name = "disk";
    traits_.version = "1";
    traits_.logs = traits_.roll = true;
  }
  asio::any_io_executor get_executor() const noexcept override { return fs_.get_executor(); }
  const contrail::engine_traits& traits() const noexcept override { return traits_; }
  std::error_code status() const noexcept override { return {}; }
  asio::awaitable<std::shared_ptr<void>> claim() override {
    auto held = std::make_shared<contrail::io::held_lock>();
    *held = co_await fs_.async_lock(layout_->place / "claim.lock", asio::use_awaitable);
    std::shared_ptr<void> out(held.get(), [held](void*) { held->remove_and_release(); });
    co_return out;
  }
  asio::awaitable<std::unique_ptr<contrail::pin>> begin(contrail::begin_request) override {
    std::unique_ptr<contrail::pin> out = std::make_unique<pin>(fs_, layout_);
    co_await turn();
    co_return out;
  }

 private:
  contrail::io::file_system fs_;
  layout_ptr layout_;
  contrail::engine_traits traits_;
};

/// Recovery takes the logs away. `name-log` beside a database is its companion; a target is held by a lock on itself.
class restorer final : public contrail::restorer {
 public:
  explicit restorer(contrail::io::file_system fs) : fs_(std::move(fs)) {}
  std::string_view engine() const noexcept override { return "disk"; }
  asio::awaitable<void> check_chain(std::vector<std::shared_ptr<const contrail::manifest>>) override { co_return; }
  asio::awaitable<std::vector<std::string>> recover(const contrail::recovery& work) override {
    std::vector<std::string> out;
    for (const contrail::restored_file& f : work.files) {
      if (f.role == contrail::file_role::log) {
        co_await fs_.async_remove(work.directory / f.name, asio::use_awaitable);
      } else {
        out.push_back(f.name);
      }
    }
    co_return out;
  }
  std::vector<std::string> companions(std::string_view file) const override { return std::vector<std::string>(1, std::string(file) + "-log"); }
  asio::awaitable<std::shared_ptr<void>> hold_target(std::filesystem::path file) override {
    auto held = std::make_shared<contrail::io::held_lock>();
    *held = co_await fs_.async_lock(file, asio::use_awaitable);
    std::shared_ptr<void> out = held;
    co_return out;
  }

 private:
  contrail::io::file_system fs_;
};

class registry final : public contrail::restorer_registry {
 public:
  explicit registry(contrail::restorer& one) : one_(one) {}
  contrail::restorer* find(std::string_view engine) override { return engine == one_.engine() ? &one_ : nullptr; }

 private:
  contrail::restorer& one_;
};

}  // namespace disk_engine
