#pragma once

#include "reader.hpp"
#include "wal_format.hpp"

#include <contrail/io/buffer_pool.hpp>
#include <contrail/io/file_system.hpp>
#include <contrail/source.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <system_error>

namespace contrail::sqlite {

/// What a copied log turned out to be.
struct wal_outcome {
  bool known = false;              ///< a copy ran to its end
  std::uint32_t frames = 0;        ///< up to the last commit
  std::uint32_t pages = 0;         ///< of the database after it
  std::uint32_t salt1 = 0, salt2 = 0;
  wal_sums sums;
};

/// What one copy of the log starts from.
struct wal_start {
  wal_start() = default;
  std::string path;
  std::uint64_t bound = 0;         ///< bytes: its length when the generation was closed
  std::uint64_t file_pages = 0;    ///< of the database's file, as it was copied
  std::uint32_t page_bytes = 0;
  std::optional<log_floor> floor;  ///< read before the header
  std::string header;              ///< the first 32 bytes, or what there was
};

/// The log up to a bound. Everything is delivered; what counts ends at the last commit whose chain of checksums is whole.
///
/// Why database file and log together are one state: the pinned snapshot ends at frame N. Checkpoints do not pass N, so the file, copied
/// first, has pages of versions up to N only, in any mixture, even torn; and the log keeps its frames 1 to N and is not started anew.
/// File + frames 1 to M, for a commit M >= N, is therefore the state at M. One case differs: when everything had been checkpointed before the pin, the
/// log may be started anew once; but then no checkpoint may write to the file, which is the snapshot itself, and the new log follows
/// right after it. So both are covered by: file first, then the log, and from the front again when the log's header changed on the way
/// (a writer changes the header before the first frame of the new log; an unchanged header proves that all frames were of one log).
class wal_source final : public source {
 public:
  wal_source(io::random_access_file file, io::lease scratch, wal_start start, std::shared_ptr<wal_outcome> outcome,
             std::shared_ptr<page_coverage> coverage);

  std::uint64_t bytes() const noexcept override { return start_.bound; }
  [[nodiscard]] asio::awaitable<std::size_t> read(std::uint64_t offset, asio::mutable_buffer into) override;
  std::error_code fold(std::uint64_t offset, asio::const_buffer chunk) override;
  [[nodiscard]] asio::awaitable<std::uint64_t> finish(asio::mutable_buffer trailer) override;

 private:
  void check_floor() const;

  io::random_access_file file_;
  io::lease scratch_;
  wal_start start_;
  std::shared_ptr<wal_outcome> outcome_;
  std::shared_ptr<page_coverage> coverage_;
  std::uint32_t required_ = 0;     ///< frames that must be there
  wal_walker walker_;
};

/// Fills `into` from `offset` as far as the file goes.
[[nodiscard]] asio::awaitable<std::size_t> read_fully(io::random_access_file& file, std::uint64_t offset, asio::mutable_buffer into,
                                                      std::string name);

}  // namespace contrail::sqlite
