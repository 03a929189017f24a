#pragma once

#include "engines/pagestore/format/database_header.hpp"
#include "engines/pagestore/format/page.hpp"

#include <contrail/io/file_system.hpp>
#include "async/mutex.hpp"

#include <asio/awaitable.hpp>
#include <asio/buffer.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <system_error>

/// The file of one database: its header twins and its pages. One strand.
namespace contrail::pagestore {

class database_file {
 public:
  database_file() = default;
  /// Opens an existing file and reads its header. Fails with -1811 (nothing there), -1206 (no valid header), -1213 (`page_size` is another;
  /// 0: any), or what the system said.
  [[nodiscard]] static asio::awaitable<database_file> open(io::file_system fs, std::filesystem::path path, std::uint32_t page_size);
  /// Makes a new file, exclusively, of two header pages with `header` and the blank pages of `header.pages`, synced with its directory.
  [[nodiscard]] static asio::awaitable<database_file> create(io::file_system fs, std::filesystem::path path, database_header header);

  const database_header& header() const noexcept { return header_; }
  const std::filesystem::path& path() const noexcept { return path_; }
  /// UTF-8, for messages and the log.
  const std::string& name() const noexcept { return name_; }
  bool is_open() const noexcept { return file_.is_open(); }
  io::file_facts facts() const { return file_.facts(); }
  /// An update of the header was cut short before this file was opened: only one copy has what is in force. The next update mends it.
  bool half_updated() const noexcept { return half_updated_; }

  /// Changes the header by `change`, twin by twin, synced; one at a time. The file must stay where it is until the call has ended. After one
  /// that failed, nobody knows which copy is in force: all later ones fail with -1090.
  [[nodiscard]] asio::awaitable<void> update(std::function<void(database_header&)> change);

  /// A whole page as it is in the file; nothing is checked. A file that ends before it reads as zeros from there on.
  [[nodiscard]] asio::awaitable<void> read(page_no n, asio::mutable_buffer page);
  [[nodiscard]] asio::awaitable<void> write(page_no n, asio::const_buffer page);
  /// `read`, and what a page of this database must be: -1018, -1118 with file, offset and cause. A blank page is good.
  [[nodiscard]] asio::awaitable<void> read_checked(page_no n, asio::mutable_buffer page);
  /// One at a time; after one that failed, so do all later ones and all that waited. Of what was written before that one nobody knows what
  /// is on the disk, and the system may say "done" when it is asked again, also to somebody who asks at the same time.
  [[nodiscard]] asio::awaitable<void> sync();
  /// Writes zero pages behind the first `owned` ones until the file holds `pages` pages (and the two of the header), also where there seem to
  /// be some: an earlier attempt may have failed, and then they are not on the disk. Never cuts, and does not sync.
  [[nodiscard]] asio::awaitable<void> extend(std::uint32_t owned, std::uint32_t pages);
  /// Until the file holds `pages` pages by its length alone: what was never written reads as zeros, and takes no room where files may have holes.
  [[nodiscard]] asio::awaitable<void> stretch(std::uint32_t pages);
  [[nodiscard]] asio::awaitable<std::uint64_t> bytes();
  /// Cuts to the header and `pages` pages, synced.
  [[nodiscard]] asio::awaitable<void> cut(std::uint32_t pages);
  void close() noexcept { file_.close(); }

 private:
  io::random_access_file file_;
  std::filesystem::path path_;
  std::string name_;
  database_header header_;
  bool second_in_force_ = false;
  bool header_in_doubt_ = false;
  bool half_updated_ = false;
  std::unique_ptr<detail::async_mutex> updating_, syncing_;
  std::error_code sync_failure_;
};

}  // namespace contrail::pagestore
