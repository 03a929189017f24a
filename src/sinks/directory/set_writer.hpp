#pragma once

#include <contrail/io/file_system.hpp>
#include <contrail/io/held_lock.hpp>
#include <contrail/manifest.hpp>
#include <contrail/sink.hpp>
#include "async/write_behind.hpp"
#include "format/storable_names.hpp"
#include "sinks/directory/list_writer.hpp"

#include <asio/awaitable.hpp>

#include <cstdint>
#include <exception>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

namespace contrail::directory {

/// Where a set is being built: `.partial-<id>/`, kept by its lock.
struct building_site {
  building_site() = default;
  std::filesystem::path repository;
  std::string set;
  io::held_lock lock;
  bool made_repository = false;   ///< by us, so that we take it away again when nothing comes of it
  bool keep = false;              ///< nothing of it may be removed now: that is for the next backup
};

/// Removes what was made for a set that is not wanted: files, lock, and the repository when we made it and it is empty. Cancellation
/// must be disabled.
[[nodiscard]] asio::awaitable<void> clear_site(io::file_system fs, building_site& site);

class set_writer final : public contrail::set_writer {
 public:
  /// `parent`: of a set that builds on another one.
  set_writer(io::file_system fs, building_site site, std::shared_ptr<const manifest> parent);
  ~set_writer() override;

  asio::awaitable<file_id> open(const file_info& file) override;
  asio::awaitable<void> write(file_id file, std::uint64_t offset, io::lease data, std::size_t bytes) override;
  asio::awaitable<void> close(file_id file, const file_end& end) override;
  asio::awaitable<void> drop(file_id file, std::error_code why) override;
  asio::awaitable<void> commit(manifest& info) override;
  asio::awaitable<void> abort() override;
  set_position position() const noexcept override { return durable_; }

 private:
  struct open_file;

  void require_usable(std::string_view what) const;
  open_file& find(file_id file);
  asio::awaitable<file_id> start_file(file_info file);
  asio::awaitable<void> finish_file(file_id id, file_end end);
  asio::awaitable<void> drop_file(file_id id);
  asio::awaitable<void> prepare(manifest& info);
  asio::awaitable<io::held_lock> lock_commits();
  asio::awaitable<std::uint64_t> next_sequence(std::uint64_t behind);
  asio::awaitable<void> publish();

  io::file_system fs_;
  building_site site_;
  const std::shared_ptr<const manifest> parent_;
  const std::filesystem::path partial_;
  const std::string operation_;
  io::buffer_pool texts_;
  std::map<std::uint32_t, open_file> files_;
  std::uint32_t last_file_ = 0;
  list_writer list_;
  storable_names names_;
  set_position durable_;
  std::exception_ptr failure_;           ///< the first; final
  bool ended_ = false;                   ///< committed or aborted
};

}  // namespace contrail::directory
