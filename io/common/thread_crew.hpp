#pragma once

#include <contrail/io/detail/operation.hpp>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace contrail::io::detail {

class driver_host;

/// Threads that perform operations which block, in order of arrival. Started with the first operation. Any thread.
class thread_crew {
 public:
  using perform_function = void (*)(operation&) noexcept;
  thread_crew(driver_host& host, unsigned threads, perform_function perform);
  ~thread_crew();

  /// False when the system gives no thread.
  bool push(operation& op) noexcept;
  /// One that has not begun is finished with operation_aborted; another runs to its end.
  void cancel(operation& op) noexcept;
  void reap(operation_list& finished) noexcept;
  /// Finishes what has not begun with operation_aborted, waits for the rest, ends the threads. Says nothing to the host any more.
  void drain() noexcept;

 private:
  void work() noexcept;

  driver_host& host_;
  unsigned wanted_;
  perform_function perform_;
  std::mutex mutex_;
  std::condition_variable work_there_;
  operation_list todo_;
  operation_list done_;
  std::size_t idle_ = 0;     // threads that wait
  std::size_t queued_ = 0;   // operations in todo_
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace contrail::io::detail
