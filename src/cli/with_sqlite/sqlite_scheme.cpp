#include "cli/engine_table.hpp"

#include <contrail/engines/sqlite.hpp>
#include <contrail/io/file_names.hpp>

#include <sqlite3.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace contrail::cli {

namespace {

asio::awaitable<opened_source> open_sqlite(io::file_system files, std::string rest) {
  opened_source out;
  const std::filesystem::path database = io::to_path(rest);
  out.own = std::make_unique<sqlite_engine>(files, database);
  out.from = out.own.get();
  // The log grows beside the database while the backup runs. Half of what is free leaves the writers room, whatever happens here.
  std::error_code ec;
  const std::filesystem::space_info space = std::filesystem::space(database, ec);
  if (!ec) {
    out.default_log_growth = std::max<std::uint64_t>(space.available / 2, std::uint64_t{1} << 20);
  }
  co_return out;
}

std::unique_ptr<contrail::restorer> make_sqlite_restorer(const io::file_system& files) {
  return std::make_unique<sqlite_restorer>(files);
}

}  // namespace

scheme sqlite_scheme() {
  scheme out;
  out.name = "sqlite";
  out.syntax = "sqlite:PATH";
  out.build_option = "CONTRAIL_SQLITE";
  out.version = sqlite3_libversion();
  out.open = open_sqlite;
  out.restorer = make_sqlite_restorer;
  return out;
}

}  // namespace contrail::cli
