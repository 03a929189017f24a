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
  pagestore::store_facts facts;   ///< when it had been recovered, and nothing was attached: of these databases
};

struct open_options {
  bool circular = false;        ///< circular logging
  bool readable_only = false;   ///< pass over databases whose header cannot be read; else they are a failure
};

/// What is there decides base name, page size and so on. Attached is what the facts list, and what recovery finds in the logs on top of that.
/// Fails, with nothing left open, as `inspect`, `instance::open` and `attach` do; with `errc::invalid_parameter` when there are more databases
/// than an instance can have, and with `errc::database_in_use` when one is there twice, both before any is attached.
[[nodiscard]] asio::awaitable<opened> open(io::file_system files, pagestore::store_facts facts, open_options options = {});

/// As a path is written in messages and lists.
std::string name_of(const pagestore::database_facts& one);
/// As manifests have it.
std::string text_of(const pagestore::signature& identity);

}  // namespace contrail::cli::store
