#pragma once

#include <contrail/io/entry.hpp>
#include <contrail/io/held_lock.hpp>
#include <contrail/io/lease.hpp>
#include <contrail/io/open_options.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <system_error>
#include <vector>

namespace contrail::io::detail {

class request_queue;
struct file_state;

/// Everything that a driver can be asked to do.
enum class request : std::uint8_t {
  read, write, sync, allocate, resize, size,                     // on an open file
  open, rename, rename_new, remove, remove_all, make_directory,  // on names
  sync_directory, set_attributes, list, stat, lock,
  call                                                           // anything that blocks (io::worker)
};

/// Arguments and results of requests on names; transfers do not carry them.
struct name_arguments {
  name_arguments() = default;
  std::filesystem::path first;
  std::filesystem::path second;
  open_options options;
  attributes value;
  std::vector<entry> entries;
  entry found;
  held_lock lock;
};

/// One request: an intrusive node that lives in memory of the handler's allocator until its last completion. The typed part (handler,
/// executor) hides behind `finish`; that is all the type erasure there is.
struct operation {
  operation() = default;
  operation(const operation&) = delete;
  operation& operator=(const operation&) = delete;

  request what = request::call;
  std::uint64_t offset = 0;           ///< read, write; also the length for allocate and resize
  void* data = nullptr;
  std::size_t bytes = 0;
  std::shared_ptr<file_state> file;   ///< keeps the descriptor open until the last completion
  std::shared_ptr<request_queue> owner;   ///< requests without a file keep their queue
  lease pinned;                       ///< keeps pool memory until the last completion, also without its coroutine
  std::unique_ptr<name_arguments> names;
  void (*invoke)(operation&) noexcept = nullptr;   ///< request::call

  std::error_code error;
  std::uint64_t count = 0;            ///< bytes transferred, or the size asked for

  /// What really goes to the system; differs from offset, data and bytes where a direct transfer has to be bounced or cut.
  struct transfer {
    std::uint64_t offset = 0;
    void* data = nullptr;
    std::size_t bytes = 0;
    bool through_cache = false;       ///< by the file's second, cached descriptor
    bool fixed = false;               ///< `data` lies in `pinned`, which may be registered
    bool nowait = false;              ///< read: only what is in the page cache; `resource_unavailable_try_again` when nothing is
    bool drop_after = false;          ///< read: what it brought into the page cache goes again
  } io;
  bool not_cached = false;            ///< a read without waiting found nothing
  lease bounce;

  // Plumbing of the request queue and its driver.
  operation* next = nullptr;
  operation* next_cancel = nullptr;
  static constexpr unsigned cancelled_bit = 1, done_bit = 2;
  std::atomic<unsigned> flags{0};     ///< who was first, the cancellation or the completion, decides
  enum class phase : std::uint8_t { fresh, waiting, issued, done } at = phase::fresh;
  bool cancel_taken = false;          ///< its entry on the cancel list has been seen
  unsigned owed = 0;                  ///< driver: completions still to come
  /// deliver: post to the handler's executor; otherwise destroy the handler unheard.
  void (*finish)(operation*, bool deliver) noexcept = nullptr;

 protected:
  ~operation() = default;
};

/// Intrusive first-in first-out list.
class operation_list {
 public:
  void push(operation* o) noexcept {
    o->next = nullptr;
    (tail_ != nullptr ? tail_->next : head_) = o;
    tail_ = o;
  }
  operation* pop() noexcept {
    operation* o = head_;
    if (o != nullptr) {
      head_ = o->next;
      if (head_ == nullptr) tail_ = nullptr;
      o->next = nullptr;
    }
    return o;
  }
  void push_front(operation* o) noexcept {
    o->next = head_;
    head_ = o;
    if (tail_ == nullptr) tail_ = o;
  }
  bool empty() const noexcept { return head_ == nullptr; }

 private:
  operation* head_ = nullptr;
  operation* tail_ = nullptr;
};

}  // namespace contrail::io::detail
