#include "common/backends.hpp"
#include "common/perform.hpp"
#include "common/thread_crew.hpp"

namespace contrail::io::detail {

namespace {

/// Blocking calls on a few threads: works everywhere, and cached reads are copied off the event loop.
class threads_driver final : public driver {
 public:
  threads_driver(driver_host& host, unsigned threads) : crew_(host, threads, &perform) {}
  bool issue(operation& op) noexcept override { return crew_.push(op); }
  void cancel(operation& op) noexcept override { crew_.cancel(op); }
  void flush() noexcept override {}
  void reap(operation_list& finished) noexcept override { crew_.reap(finished); }
  void arm() noexcept override {}   // the crew wakes the host by itself
  void disarm() noexcept override {}
  bool copies_inline() const noexcept override { return false; }
  void drain() noexcept override { crew_.drain(); }
  void detach() noexcept override {}
  void close(file_state& file) noexcept override { close_file(file); }

 private:
  thread_crew crew_;
};

}  // namespace

backend_probe probe_threads() {
  backend_probe probe;
  probe.kind = backend_kind::threads;
  probe.available = true;
  probe.why = "blocking calls on a pool of threads, always there";
  return probe;
}

std::unique_ptr<driver> make_threads_driver(driver_host& host, const backend_options& options) {
  return std::make_unique<threads_driver>(host, options.worker_threads);
}

}  // namespace contrail::io::detail
