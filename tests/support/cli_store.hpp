#pragma once

#include "support/cli_commands.hpp"

#include <contrail/engines/pagestore.hpp>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>

#include <catch2/catch.hpp>

#include <cstdint>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

/// Stores with a bank, as `contrail pagestore` makes them.
namespace contrail::test {

constexpr std::uint64_t store_page = 8192;   ///< bytes
/// Where page `n` begins in a database.
inline std::uint64_t page_at(std::uint64_t n) { return (n + 1) * store_page; }

inline outcome store_run(const std::string& command, const std::filesystem::path& directory, const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments{"pagestore", command, directory.string()};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run(arguments);
}

inline void make_bank(const std::filesystem::path& directory, const std::vector<std::string>& more = {"--accounts", "2000"}) {
  const outcome got = store_run("create", directory, more);
  INFO(got.out << got.err);
  REQUIRE(got.exit == 0);
}

/// A check that must find no fault; what it told.
inline nlohmann::ordered_json good(const std::filesystem::path& directory) {
  const outcome got = store_run("check", directory, {"--json"});
  INFO(got.out << got.err);
  CHECK(got.exit == 0);
  CHECK(got.err.empty());
  const auto told = got.parsed();
  CHECK(told["status"] == "good");
  CHECK(told["damage"].empty());
  return told;
}

/// A check that must find damage in a file of that name; what it told.
inline nlohmann::ordered_json damaged(const std::filesystem::path& directory, const std::string& file) {
  const outcome got = store_run("check", directory, {"--json"});
  INFO(got.out << got.err);
  CHECK(got.exit == 3);
  const auto told = got.parsed();
  CHECK(told["status"] == "damaged");
  CHECK_FALSE(told["damage"].empty());
  bool named = false;
  for (const auto& one : told["damage"]) {
    CHECK_FALSE(one["what"].get<std::string>().empty());
    named = named || one["file"] == (directory / file).string();
  }
  CHECK(named);
  return told;
}

/// Sequence of each writer that has committed.
inline std::vector<std::uint64_t> sequences(const nlohmann::ordered_json& told) {
  std::vector<std::uint64_t> out;
  for (const auto& one : told["writers"]) {
    const std::size_t number = one["writer"];
    if (out.size() <= number) out.resize(number + 1);
    out[number] = one["last"];
  }
  return out;
}

inline void flip(const std::filesystem::path& path, std::uint64_t at) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekg(static_cast<std::streamoff>(at));
  const int was = file.get();
  file.seekp(static_cast<std::streamoff>(at));
  file.put(static_cast<char>(was ^ 0x40));
  file.flush();
  REQUIRE(file.good());
}

/// Runs a coroutine in this process.
inline void drive(const std::function<asio::awaitable<void>(asio::any_io_executor)>& what) {
  asio::io_context context(1);
  std::exception_ptr failed;
  bool ended = false;
  asio::co_spawn(context, what(context.get_executor()), [&](std::exception_ptr e) {
    ended = true;
    failed = std::move(e);
  });
  context.run();
  if (failed) std::rethrow_exception(failed);
  REQUIRE(ended);
}

}  // namespace contrail::test
