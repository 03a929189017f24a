#pragma once

#include <contrail/io/file_system.hpp>
#include <contrail/restorer.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace contrail {

/// Turns the files of a pagestore set into clean databases, by playing the set's logs (docs/pagestore.md, "Restore"). What is kept are the
/// databases; an instance that opens the directory begins new logs there, and attaches them. They remember no backups: the next one must be a
/// full one.
class pagestore_restorer final : public restorer {
 public:
  explicit pagestore_restorer(asio::any_io_executor ex);
  explicit pagestore_restorer(io::file_system files);
  ~pagestore_restorer() override;

  std::string_view engine() const noexcept override;
  [[nodiscard]] asio::awaitable<void> check_chain(std::vector<std::shared_ptr<const manifest>> chain) override;
  /// Also fails with what hard recovery says: the codes of the ESE specification, section 7.
  [[nodiscard]] asio::awaitable<std::vector<std::string>> recover(const recovery& work) override;
  std::vector<std::string> companions(std::string_view file) const override;
  /// Not where a store has its logs or its checkpoint: in `into`, and in each directory from there to the file.
  [[nodiscard]] asio::awaitable<void> check_target(std::filesystem::path into, std::string name) override;
  /// Nor over a database that is in use, or was when its store was killed: it needs its logs, wherever those are.
  [[nodiscard]] asio::awaitable<std::shared_ptr<void>> hold_target(std::filesystem::path file) override;
  bool before_replacing(const std::shared_ptr<void>& held) noexcept override;

 private:
  struct impl;
  std::shared_ptr<impl> impl_;
};

}  // namespace contrail
