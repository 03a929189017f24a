#pragma once

#include <contrail/error.hpp>
#include <contrail/manifest.hpp>
#include <contrail/sink.hpp>

#include <asio/awaitable.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

/// A sink in memory. Checks the rules of the contract (order, no gaps, no call after a failure), fails and stalls on demand.
struct memory_set {
  struct stored {
    contrail::file_info info;
    std::string bytes;
    std::optional<contrail::file_end> end;
  };
  std::map<std::uint32_t, stored> files;
  std::vector<std::string> order;          ///< names as they were opened
  std::vector<std::string> dropped;
  contrail::set_header header;
  contrail::manifest info;
  bool begun = false, committed = false, aborted = false, destroyed = false, failed = false, inside = false;
  int writes = 0;
  std::vector<std::string> broken_rules;

  const stored* find(const std::string& name) const {
    for (const auto& [id, f] : files)
      if (f.info.name == name) return &f;
    return nullptr;
  }
};

struct memory_faults {
  int begin = -1, open = -1, write = -1, close = -1, drop = -1, commit = -1, abort = -1;   ///< the call of that number fails
  std::error_code error = make_error_code(std::errc::no_space_on_device);
  int stall_at_write = -1;
  std::chrono::milliseconds stall{0};
  std::function<void()> after_stall;
  bool hangs = false;                      ///< write never returns, until cancelled
  std::function<void(const char*)> on_call;
};

class memory_sink final : public contrail::sink {
 public:
  std::shared_ptr<memory_set> last = std::make_shared<memory_set>();
  std::vector<std::shared_ptr<memory_set>> sets;
  std::shared_ptr<memory_faults> faults = std::make_shared<memory_faults>();

  asio::awaitable<std::unique_ptr<contrail::set_writer>> begin(const contrail::set_header& header) override {
    auto set = std::make_shared<memory_set>();
    set->header = header;
    co_await turn();
    if (faults->on_call) faults->on_call("begin");
    if (faults->begin == 0) throw std::system_error(faults->error);
    set->begun = true;
    last = set;
    sets.push_back(set);
    co_return std::make_unique<writer>(set, faults);
  }

 private:
  static asio::awaitable<void> turn() {
    auto ex = co_await asio::this_coro::executor;
    co_await asio::post(ex, asio::use_awaitable);
  }

  class writer final : public contrail::set_writer {
   public:
    writer(std::shared_ptr<memory_set> set, std::shared_ptr<memory_faults> faults) : set_(std::move(set)), faults_(std::move(faults)) {}
    ~writer() override { set_->destroyed = true; }

    asio::awaitable<contrail::file_id> open(const contrail::file_info& file) override {
      const one_call mine(*this, "open");
      const contrail::file_info info = file;
      co_await step(opens_, faults_->open);
      contrail::file_id id;
      id.value = next_++;
      set_->files[id.value].info = info;
      set_->order.push_back(info.name);
      co_return id;
    }
    asio::awaitable<void> write(contrail::file_id file, std::uint64_t offset, contrail::io::lease data, std::size_t bytes) override {
      const one_call mine(*this, "write");
      const int number = writes_;
      co_await step(writes_, faults_->write);
      ++set_->writes;
      if (faults_->hangs || number == faults_->stall_at_write) {
        auto ex = co_await asio::this_coro::executor;
        asio::steady_timer timer(ex);
        if (faults_->hangs) timer.expires_at(asio::steady_timer::time_point::max());
        else timer.expires_after(faults_->stall);
        co_await timer.async_wait(asio::use_awaitable);
        if (faults_->after_stall) faults_->after_stall();
      }
      auto& f = set_->files.at(file.value);
      if (f.end) broken("write after close");
      if (offset != f.bytes.size()) broken("offsets with a gap");
      if (bytes > data.buffer().size()) broken("more bytes than the lease has");
      f.bytes.append(static_cast<const char*>(data.buffer().data()), bytes);
    }
    asio::awaitable<void> close(contrail::file_id file, const contrail::file_end& end) override {
      const one_call mine(*this, "close");
      const contrail::file_end copy = end;
      co_await step(closes_, faults_->close);
      auto& f = set_->files.at(file.value);
      if (f.end) broken("closed twice");
      if (copy.bytes != f.bytes.size()) broken("length does not match");
      f.end = copy;
    }
    asio::awaitable<void> drop(contrail::file_id file, std::error_code) override {
      const one_call mine(*this, "drop");
      co_await step(drops_, faults_->drop);
      set_->dropped.push_back(set_->files.at(file.value).info.name);
      set_->files.erase(file.value);
    }
    asio::awaitable<void> commit(contrail::manifest& info) override {
      const one_call mine(*this, "commit");
      co_await step(commits_, faults_->commit);
      for (const auto& [id, f] : set_->files) {
        if (!f.end) broken("committed with an open file");
        info.files += 1;
        info.bytes += f.bytes.size();
      }
      info.sequence = set_->header.parent ? set_->header.parent->sequence + 1 : 1;
      set_->info = info;
      set_->committed = true;
    }
    asio::awaitable<void> abort() override {
      const one_call mine(*this, "abort", true);
      set_->failed = false;
      co_await step(aborts_, faults_->abort);
      set_->aborted = true;
      set_->files.clear();
    }
    contrail::set_position position() const noexcept override { return {}; }

   private:
    /// Calls come one after another.
    class one_call {
     public:
      one_call(writer& w, const char* what, bool abort = false) : set_(w.set_) {
        if (set_->inside) w.broken("two calls at once");
        if (set_->failed && !abort) w.broken(std::string(what) + " after a failure");
        set_->inside = true;
        if (w.faults_->on_call) w.faults_->on_call(what);
      }
      one_call(const one_call&) = delete;
      one_call& operator=(const one_call&) = delete;
      ~one_call() { set_->inside = false; }

     private:
      std::shared_ptr<memory_set> set_;   // the frame of a call may go after the writer, when the context dies
    };
    asio::awaitable<void> step(int& count, int fails) {
      set_->failed = true;   // until it comes back: a call that was cancelled has failed
      const int number = count++;
      co_await turn();
      if (number == fails) throw std::system_error(faults_->error);
      set_->failed = false;
    }
    void broken(const std::string& what) { set_->broken_rules.push_back(what); }

    std::shared_ptr<memory_set> set_;
    std::shared_ptr<memory_faults> faults_;
    std::uint32_t next_ = 0;
    int opens_ = 0, writes_ = 0, closes_ = 0, drops_ = 0, commits_ = 0, aborts_ = 0;
  };
};
