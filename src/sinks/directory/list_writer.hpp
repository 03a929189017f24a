#pragma once

#include <contrail/io/buffer_pool.hpp>
#include <contrail/io/file_system.hpp>
#include <contrail/manifest.hpp>
#include <contrail/sink.hpp>
#include "async/write_behind.hpp"
#include "format/digest.hpp"

#include <asio/awaitable.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace contrail::directory {

/// Removes a stored file of a set that is being built, and the directories on the way to it that are empty then: what stands in a set and
/// is no part of it counts as damage.
[[nodiscard]] asio::awaitable<void> remove_stored(io::file_system fs, std::filesystem::path top, std::string stored, std::string operation);

/// `files.jsonl` of a set that is being built: written as files are closed, in bounded memory. A file that is dropped after it was closed is
/// only marked; when the list is finished, its line and its bytes go.
class list_writer {
 public:
  /// In the directory `top`. `pool` must outlive this object.
  list_writer(io::file_system fs, std::filesystem::path top, io::buffer_pool& pool, std::string operation);

  [[nodiscard]] asio::awaitable<void> add(file_id file, const manifest_file& entry);
  /// False: no file of that number was added.
  bool drop(file_id file);
  /// The list is whole and on stable storage, and stands for what is in the directory.
  [[nodiscard]] asio::awaitable<void> finish();
  /// Nothing is in flight any more, and the file is closed.
  [[nodiscard]] asio::awaitable<void> settle();

  std::uint64_t files() const noexcept { return files_; }
  std::uint64_t bytes() const noexcept { return bytes_; }
  std::string digest_text() const { return digest_.text(); }

 private:
  asio::awaitable<void> flush();
  asio::awaitable<void> leave_out_dropped();

  io::file_system fs_;
  const std::filesystem::path top_;
  const std::filesystem::path path_;
  io::buffer_pool& pool_;
  const std::string operation_;
  std::unique_ptr<write_behind> out_;
  std::string lines_;                  ///< the end of the list, not handed to the system yet
  std::uint64_t written_ = 0;
  digest digest_;
  std::uint64_t files_ = 0;
  std::uint64_t bytes_ = 0;
  std::vector<std::uint32_t> closed_;  ///< numbers of the files, in the order of their lines; 0: dropped
  bool any_dropped_ = false;
};

}  // namespace contrail::directory
