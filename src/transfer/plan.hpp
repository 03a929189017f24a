#pragma once

#include "async/mutex.hpp"
#include "async/turnstile.hpp"
#include "format/digest.hpp"
#include "transfer/transfer.hpp"

#include <contrail/source.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <vector>

namespace contrail::detail {

/// One file on its way. Shared by the plan and by the tickets that point at it.
struct file_record {
  file_record(file_info i, unsigned r) : info(std::move(i)), restarts(r) {}
  file_info info;
  unsigned restarts;                   ///< how often it was opened again
  std::unique_ptr<contrail::source> source;   ///< null: nothing to read (directory, link)
  // as planned
  std::uint64_t bytes = 0;             ///< body, as known at open
  std::size_t trailer = 0;
  std::uint64_t planned = 0;
  // as delivered, in turn
  bool opened = false;                 ///< in the set
  bool ended = false;                  ///< a read came back short: the file ends there
  bool gone = false;                   ///< vanished: what is still in flight is void
  file_id id;
  std::uint64_t delivered = 0;
  std::uint64_t accepted = 0;
  digest sum;
};

/// One chunk to be read and delivered. Tickets are numbered without gaps.
struct ticket {
  ticket() = default;
  std::uint64_t number = 0;
  std::uint64_t epoch = 0;
  std::shared_ptr<file_record> file;   ///< null with an error: the listing failed
  std::uint64_t offset = 0;
  std::size_t bytes = 0;               ///< of the body
  bool last = false;                   ///< finishes the file: trailer, close
  std::exception_ptr error;            ///< takes its turn like a chunk, so that what came before is delivered first
};

/// Everything that the lanes of one transfer share. Lives as long as the last of them.
struct transfer_state {
  transfer_state(transfer_job j, std::unique_ptr<file_list> l) : job(std::move(j)), list(std::move(l)) {}

  transfer_job job;                    // first: its `keep` goes last
  std::unique_ptr<file_list> list;

  // The plan: one lane at a time.
  async_mutex planning;
  std::deque<file_info> batch;         ///< listed, not yet opened
  bool listed_all = false;
  std::exception_ptr list_failure;     ///< the list is not asked again
  bool plan_failed = false;
  struct pending {
    pending(file_info i, unsigned r) : info(std::move(i)), restarts(r) {}
    file_info info;
    unsigned restarts;
  };
  std::deque<pending> again;           ///< to be opened once more, before `batch`
  std::deque<std::shared_ptr<file_record>> outstanding;   ///< opened or opening, not finished; at most one per lane and one
  std::shared_ptr<file_record> current;
  std::uint64_t epoch = 0;             ///< grows when a file restarts: tickets of older epochs are void
  std::uint64_t next_ticket = 0;

  // Delivery: whoever has the turn.
  turnstile turn;
  std::vector<file_id> in_set;         ///< opened and not dropped
  bool source_failed = false;
  transfer_result result;
};

/// Takes the next ticket for a buffer of `capacity` bytes. Empty: nothing is left. Opens files and waits for the rate limit.
/// A failure of the source is an error inside the ticket; what is thrown is a cancellation or a reason to end the session.
asio::awaitable<std::optional<ticket>> take_ticket(std::shared_ptr<transfer_state> state, std::size_t capacity);

/// In turn: the file at the front starts anew and everything planned after it is void.
void rewind_plan(transfer_state& state, const std::shared_ptr<file_record>& from);
/// In turn: the file is finished or gone.
void forget_file(transfer_state& state, const std::shared_ptr<file_record>& file);

/// True when the coroutine that asks was cancelled.
asio::awaitable<bool> was_cancelled();

}  // namespace contrail::detail
