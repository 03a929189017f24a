// The example of the README as a whole program: nightly DATABASE REPOSITORY.
#include <contrail/backup.hpp>
#include <contrail/engines/sqlite.hpp>
#include <contrail/sinks/directory.hpp>

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>

#include <cstdint>
#include <exception>
#include <filesystem>
#include <iostream>

namespace {

asio::awaitable<void> nightly(asio::any_io_executor ex, std::filesystem::path database, std::filesystem::path place) {
  contrail::sqlite_engine bank(ex, database);
  contrail::directory_repository vault(ex, place);
  contrail::backup_options options;
  options.rate_limit = std::uint64_t{200} << 20;  // bytes a second
  const auto report = co_await contrail::backup(bank, vault, options);
  std::cout << report.set << ": " << report.bytes << " bytes\n";
  co_await bank.close();
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) return 2;
  asio::io_context context;
  int status = 1;
  asio::co_spawn(context, nightly(context.get_executor(), arguments[1], arguments[2]), [&status](std::exception_ptr failure) {
    try {
      if (failure) std::rethrow_exception(failure);
      status = 0;
    } catch (const std::exception& e) {
      std::cerr << e.what() << '\n';
    }
  });
  context.run();
  return status;
}
