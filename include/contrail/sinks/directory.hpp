#pragma once

#include <contrail/io/file_system.hpp>
#include <contrail/repository.hpp>
#include <contrail/sink.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace contrail {

/// A repository in a directory of a file system: sink for backups, and place to list, verify and restore them
/// (docs/repository-format.md). Made when a backup begins and it is missing (its parent must exist). Several backups, in one or more processes, do
/// not disturb each other. Rights: directories 0700, files 0600.
class directory_repository final : public sink, public repository {
 public:
  directory_repository(asio::any_io_executor ex, std::filesystem::path directory);
  directory_repository(io::file_system files, std::filesystem::path directory);
  ~directory_repository() override;

  const std::filesystem::path& directory() const noexcept { return directory_; }
  /// Called, on the session's strand, for each abandoned partial set that a new backup removed (its lock was free).
  std::function<void(const std::string& partial)> on_swept;

  [[nodiscard]] asio::awaitable<std::unique_ptr<set_writer>> begin(const set_header& header) override;
  [[nodiscard]] asio::awaitable<std::vector<set_entry>> list() override;
  [[nodiscard]] asio::awaitable<std::unique_ptr<set_reader>> open(std::string set, std::size_t memory) override;

 private:
  io::file_system files_;
  std::filesystem::path directory_;
};

}  // namespace contrail
