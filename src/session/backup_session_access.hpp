#pragma once

#include "async/on_strand.hpp"

#include <contrail/backup_session.hpp>

#include <asio/awaitable.hpp>

#include <memory>

namespace contrail::detail {

/// For operations that run on the session's own strand.
struct session_access {
  static asio::awaitable<backup_session> begin(engine& from, session_options options, std::shared_ptr<const manifest> parent,
                                               strand_type strand);
  // As the members, for a caller who shares what the transfer refers to: when the context is destroyed, frames go in any order.
  static asio::awaitable<void> copy(const backup_session& session, database_id id, set_writer& to, io::buffer_pool& pool,
                                    transfer_options options, std::shared_ptr<void> keep);
  static asio::awaitable<void> copy_logs(const backup_session& session, set_writer& to, io::buffer_pool& pool,
                                         transfer_options options, std::shared_ptr<void> keep);
};

}  // namespace contrail::detail
