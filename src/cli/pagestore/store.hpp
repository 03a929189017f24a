#pragma once

#include <contrail/engines/pagestore.hpp>
#include <contrail/engines/pagestore/inspect.hpp>
#include <contrail/io/file_system.hpp>

#include <asio/awaitable.hpp>

#include <filesystem>
#include <string>
#include <vector>

/// A pagestore as the program's commands use it.
namespace contrail::cli::store {

/// A database that was attached, by its path below the store's directory.
struct member {
  member() = default;
  member(std::string with_name, pagestore::database with_id) : name(std::move(with_name)), id(with_id) {}
  std::string name;
  pagestore::database id;
};

/// Opened and recovered, with everything attached that is there. To be terminated, whatever happens.
struct opened {
  opened() = default;
  pagestore::instance running;
  std::vector<member> databases;
};

/// What is there decides base name, page size and so on. Fails, with nothing left open, as `inspect`, `instance::open` and `attach` do; also
/// with `errc::invalid_parameter` when there are more databases than an instance can have.
[[nodiscard]] asio::awaitable<opened> open(io::file_system files, pagestore::store_facts facts, bool circular = false);

/// As a path is written in messages and lists.
std::string name_of(const pagestore::database_facts& one);

}  // namespace contrail::cli::store
