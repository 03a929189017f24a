#pragma once

#include "engines/pagestore/backup/set_state.hpp"
#include "engines/pagestore/instance/core.hpp"

#include <contrail/engine.hpp>

#include <asio/awaitable.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace contrail::pagestore {

/// A backup of a running instance. On the session's strand; what concerns the instance hops to that one's.
class backup_pin final : public pin {
 public:
  backup_pin(std::shared_ptr<instance_core> core, io::file_system fs, begin_request request, std::shared_ptr<running_backup> running);
  ~backup_pin() override;

  mark at() const noexcept override { return shared_->running->at; }
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
  // Sources may be destroyed after the pin.
  struct shared_state {
    shared_state() = default;
    std::shared_ptr<running_backup> running;
    std::map<std::uint8_t, set_state::member> databases;   ///< that were copied whole
    std::set<std::uint32_t> logs;                  ///< generations that were copied whole
  };
  std::uint8_t id_of(const file_info& file) const;

  std::shared_ptr<instance_core> core_;
  io::file_system fs_;
  const read_policy policy_;
  read_counters* const counters_;
  std::shared_ptr<shared_state> shared_;
  std::vector<database_info> listed_;
  bool ended_ = false;
};

}  // namespace contrail::pagestore
