#pragma once

#include "engines/pagestore/instance/core.hpp"

#include <contrail/engine.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

#include <memory>
#include <system_error>

namespace contrail::pagestore {

/// A running instance as something that can be backed up.
class backup_engine final : public engine {
 public:
  backup_engine(asio::any_io_executor ex, io::file_system fs, std::shared_ptr<instance_core> core);

  asio::any_io_executor get_executor() const noexcept override { return ex_; }
  const engine_traits& traits() const noexcept override { return traits_; }
  std::error_code status() const noexcept override;
  [[nodiscard]] asio::awaitable<std::shared_ptr<void>> claim() override;
  [[nodiscard]] asio::awaitable<std::unique_ptr<pin>> begin(begin_request request) override;
  /// Joins the clean-up of sessions that were destroyed early.
  [[nodiscard]] asio::awaitable<void> close();

 private:
  asio::any_io_executor ex_;
  io::file_system fs_;
  std::shared_ptr<instance_core> core_;
  engine_traits traits_;
};

}  // namespace contrail::pagestore
