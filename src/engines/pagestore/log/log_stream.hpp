#pragma once

#include "engines/pagestore/cache/page_buffer.hpp"
#include "engines/pagestore/format/bytes.hpp"
#include "engines/pagestore/format/log_sector.hpp"
#include "engines/pagestore/log/log_tail.hpp"

#include <contrail/engines/pagestore/parameters.hpp>
#include <contrail/io/file_system.hpp>
#include "async/event.hpp"

#include <asio/awaitable.hpp>
#include <asio/steady_timer.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <system_error>
#include <vector>

/// The log as it is written: records into batches, batches one after the other into the current generation, generations one after the other.
/// One strand. No two batches are ever in flight: that is what makes the end of the log certain (docs/pagestore.md, "Log").
namespace contrail::pagestore {

class log_stream {
 public:
  /// How much of the generation an append must leave free.
  enum class reserve : std::uint8_t {
    end,      ///< for "end of generation": the engine's own records
    engine,   ///< and for the engine's own records: transactions
  };

  /// `how` is checked; `failed` is called once, when the log cannot be written any more.
  log_stream(io::file_system fs, const parameters& how, asio::any_io_executor strand, std::function<void(std::error_code)> failed);

  /// The first generation of a new set of logs.
  [[nodiscard]] asio::awaitable<void> begin(signature log, std::vector<attached_database> attached);
  /// Goes on behind what recovery found. A generation that is closed, or has a number already, is followed by a new one.
  [[nodiscard]] asio::awaitable<void> resume(const log_tail& tail);
  /// Writes batches until `stop`; the one coroutine that does. Fails with nothing: see `failed`.
  [[nodiscard]] static asio::awaitable<void> run(std::shared_ptr<log_stream> self);
  /// `run` ends when what was asked for is written (`flush`), or at once. `why`: the instance has failed, which those that wait are told.
  void stop(bool flush, std::error_code why = {}) noexcept;

  /// Would records of so many bytes fit into this generation now? False also while it is being closed.
  bool fits(std::size_t bytes, reserve keep) const noexcept;
  /// Bytes of records that wait to be written.
  std::size_t waiting() const noexcept { return pending_.size(); }
  /// The most bytes of records that a transaction can have.
  std::size_t largest_transaction() const noexcept;
  /// Takes one record, built and padded; it must fit. Seals it. Where it begins.
  lgpos append(byte_span record);
  /// Where the next record would begin.
  lgpos tip() const noexcept;
  /// Everything that begins before this is on stable storage.
  lgpos durable() const noexcept { return durable_; }
  /// Until everything that begins before `at` is durable; asks for it to be written. Fails with -510 when that cannot be, -1090 when
  /// the instance has failed otherwise, -1000 when it ends.
  [[nodiscard]] asio::awaitable<void> settle(lgpos at);
  /// The same with the record that begins at `at`.
  [[nodiscard]] asio::awaitable<void> make_durable(lgpos at) { return settle(lgpos{at.value + 1}); }
  /// What was appended is written within `parameters::lazy_delay`.
  void expect_soon() noexcept;

  /// Ends the generation and begins the next one, whose header lists what `attached` answers then. Appends do not fit until `open_again`, so that
  /// the caller can make sure first that its loss would be noticed. Not from two coroutines at once. Fails with -529 when there is no room
  /// for the next file: nothing has then been done, nor is the log broken.
  [[nodiscard]] asio::awaitable<void> roll(std::function<std::vector<attached_database>()> attached);
  void open_again() noexcept;
  /// Makes the next file ahead, from `recycled` (a generation that nobody needs) where given. Was that taken? Failure is kept for the roll.
  [[nodiscard]] asio::awaitable<bool> prepare(std::optional<std::uint32_t> recycled);
  bool prepared() const noexcept { return prepared_ || in_memory_; }
  /// From now on nothing is written: positions go on, and what is asked for is "durable" at once (`parameters::logging`).
  void stop_writing() noexcept { in_memory_ = true; }
  bool writes() const noexcept { return !in_memory_; }

  std::uint32_t generation() const noexcept { return header_.generation; }
  const log_header& header() const noexcept { return header_; }
  bool failed() const noexcept { return static_cast<bool>(broken_); }
  /// Somebody was told that it has failed.
  bool told() const noexcept { return told_; }
  void close() noexcept { file_.close(); }

  std::uint64_t batches = 0;      ///< written since the start
  std::uint64_t record_bytes = 0;

 private:
  std::uint32_t offset_of(std::size_t payload) const noexcept;
  [[nodiscard]] asio::awaitable<void> let_others_in();
  asio::awaitable<void> write_batch();
  void pass_over_batch() noexcept;
  asio::awaitable<void> rest();
  asio::awaitable<void> switch_files(std::vector<attached_database> attached);
  asio::awaitable<void> require_prepared();
  asio::awaitable<void> open_current();
  void fail_log(std::error_code why);
  [[noreturn]] void refuse() const;

  io::file_system fs_;
  const parameters how_;
  std::uint32_t unit_ = 0;
  std::function<void(std::error_code)> on_failed_;
  asio::steady_timer tick_;
  detail::event written_;

  io::random_access_file file_;
  std::string name_;                                    ///< of the file
  log_header header_;
  std::uint32_t next_sector_ = first_sector;   ///< of the batch that collects
  std::uint32_t batch_ = 0;                             ///< the last that was sealed
  std::uint64_t chain_ = 0;
  std::vector<std::byte> pending_;
  std::vector<std::byte> sealed_;
  std::unique_ptr<page_buffer> aligned_;                ///< what is being written
  lgpos durable_;
  bool writing_ = false;
  bool wanted_ = false;
  std::optional<asio::steady_timer::time_point> due_;
  bool closing_ = false;      ///< no append
  bool stop_ = false;
  bool flush_ = false;
  std::error_code stopped_by_;
  bool prepared_ = false;
  std::error_code prepare_failure_;
  bool in_memory_ = false;
  std::error_code broken_;
  mutable bool told_ = false;
};

}  // namespace contrail::pagestore
