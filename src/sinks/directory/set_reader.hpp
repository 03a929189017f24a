#pragma once

#include <contrail/io/file_system.hpp>
#include <contrail/repository.hpp>
#include "async/read_ahead.hpp"
#include "format/digest.hpp"
#include "sinks/directory/line_reader.hpp"
#include "sinks/directory/path_table.hpp"

#include <asio/awaitable.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace contrail::directory {

class set_reader final : public contrail::set_reader {
 public:
  /// Reads the manifest and the whole list of files, so that nothing of the list is believed before its digest was right.
  [[nodiscard]] static asio::awaitable<std::unique_ptr<contrail::set_reader>> open(io::file_system fs, std::filesystem::path repository,
                                                                                   std::string set, std::size_t memory);

  std::shared_ptr<const manifest> info() const override { return info_; }
  asio::awaitable<std::optional<manifest_file>> next_file() override;
  asio::awaitable<std::optional<chunk>> next() override;

 private:
  set_reader(io::file_system fs, std::filesystem::path repository, const std::string& set, std::size_t table, std::size_t buffer,
             std::size_t count);
  asio::awaitable<void> check_list();
  asio::awaitable<void> find_foreign();
  asio::awaitable<void> check_way(const std::string& name);
  std::string name_below(const std::filesystem::path& path) const;
  std::filesystem::path path_of(const std::string& stored, const std::string& name) const;

  io::file_system fs_;
  const std::filesystem::path repository_;
  const std::filesystem::path directory_;
  const std::string set_;
  const std::string operation_;
  io::buffer_pool texts_;
  io::buffer_pool pool_;
  std::shared_ptr<const manifest> info_;
  path_table paths_;
  std::unique_ptr<line_reader> list_;
  bool list_ended_ = false;

  // the current file
  std::optional<manifest_file> file_;
  std::unique_ptr<read_ahead> input_;
  digest digest_;
  std::string way_;   ///< the directory that was looked at last

  // the search for files that are not part of the set
  std::vector<std::filesystem::path> to_search_;
  std::vector<std::string> foreign_;
};

}  // namespace contrail::directory
