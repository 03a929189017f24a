#pragma once

#include "reader.hpp"
#include "wal_source.hpp"

#include <contrail/engine.hpp>
#include <contrail/engines/sqlite.hpp>
#include <contrail/io/buffer_pool.hpp>
#include <contrail/io/file_system.hpp>
#include <contrail/io/worker.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace contrail::sqlite {

/// What engine and pins share.
struct engine_core {
  engine_core(io::file_system fs, std::filesystem::path path, access_way how, sqlite_options wanted)
      : files(std::move(fs)),
        database(std::move(path)),
        way(std::move(how)),
        options(wanted),
        work(files.get_executor()),
        headers(files.get_executor(), 4, 4096) {}

  io::file_system files;
  std::filesystem::path database;      ///< as the caller named it
  access_way way;
  sqlite_options options;
  io::worker work;                     ///< one thread: SQLite's calls come one after another
  io::buffer_pool headers;             ///< for the few bytes that the adapter itself reads
  std::atomic<bool> closed{false};
  std::mutex guard;
  std::weak_ptr<const place> claimed;  ///< under `guard`: what the running claim looked at
};

/// SQLite's page 1 has a magic text; no page has a checksum. Whether pages are sound is shown by recovery and SQLite's own check.
class database_format final : public page_format {
 public:
  explicit database_format(std::uint32_t page_bytes) noexcept : page_bytes_(page_bytes) {}
  std::uint32_t page_bytes() const noexcept override { return page_bytes_; }
  verdict check(std::uint64_t page, asio::const_buffer bytes) const noexcept override;

 private:
  std::uint32_t page_bytes_;
};

/// What a pinned database keeps open. Destroyed in the order connection, file, slot: an ordinary descriptor of the file that were closed
/// while the connection lives would take the connection's locks away.
struct pinned {
  std::shared_ptr<void> slot;
  std::unique_ptr<database_format> format;
  io::random_access_file file;         ///< until `body` has it
  std::unique_ptr<source> body;
  std::unique_ptr<reader> connection;
};
/// Whoever is the last to let go of it: closing, which may checkpoint, is the worker's (or, without a context, happens at once).
std::shared_ptr<pinned> make_pinned(const std::shared_ptr<engine_core>& core);

/// How much of the database's file was delivered, and its first page's header.
struct copied_file {
  std::uint64_t bytes = 0;
  std::array<char, database_header_bytes> header{};
};

class sqlite_pin final : public pin {
 public:
  sqlite_pin(std::shared_ptr<engine_core> core, begin_request request, place where, io::file_facts facts, std::shared_ptr<pinned> held,
             std::optional<log_floor> floor);
  mark at() const noexcept override { return at_; }
  pin_cost cost() const noexcept override;
  [[nodiscard]] asio::awaitable<std::vector<database_info>> databases() override;
  [[nodiscard]] asio::awaitable<std::unique_ptr<file_list>> files(database_id id) override;
  [[nodiscard]] asio::awaitable<log_cut> close_generation() override;
  [[nodiscard]] asio::awaitable<std::unique_ptr<file_list>> logs(log_range range) override;
  [[nodiscard]] asio::awaitable<std::unique_ptr<source>> open(const file_info& file) override;
  [[nodiscard]] asio::awaitable<void> delete_logs(log_range range) override;
  [[nodiscard]] asio::awaitable<void> record(const outcome& result) override;
  [[nodiscard]] asio::awaitable<std::string> state() override;
  [[nodiscard]] asio::awaitable<void> end(bool committed) override;

 private:
  [[nodiscard]] asio::awaitable<std::unique_ptr<source>> open_log();
  [[nodiscard]] asio::awaitable<std::optional<log_floor>> look();
  reader& connection() const;

  std::shared_ptr<engine_core> core_;
  begin_request request_;
  place where_;
  io::file_facts facts_;
  std::shared_ptr<pinned> held_;
  mark at_;
  std::uint64_t log_bytes_at_begin_ = 0;
  std::uint64_t log_bound_ = 0;                    ///< bytes, set by close_generation
  generation log_generation_ = 0;
  bool closed_generation_ = false;
  std::shared_ptr<copied_file> copied_;            ///< shared with its source
  std::shared_ptr<wal_outcome> log_;
  std::shared_ptr<page_coverage> coverage_;
};

}  // namespace contrail::sqlite
