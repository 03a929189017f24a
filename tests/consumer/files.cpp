// Writes a file and reads it back, as a program that is no part of Contrail would.
#include <contrail/io/file_system.hpp>

#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/read_at.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write_at.hpp>

#include <exception>
#include <filesystem>
#include <iostream>
#include <string>

namespace {

asio::awaitable<std::string> round_trip(contrail::io::file_system files, std::filesystem::path path) {
  const std::string written = "a jet leaves a contrail while it flies";
  contrail::io::open_options options;
  options.mode = contrail::io::access::read_write;
  options.create = true;
  auto file = co_await files.async_open(path, options, asio::use_awaitable);
  co_await asio::async_write_at(file, 0, asio::buffer(written), asio::use_awaitable);
  std::string found(written.size(), ' ');
  co_await asio::async_read_at(file, 0, asio::buffer(found), asio::use_awaitable);
  file.close();
  co_await files.async_remove(path, asio::use_awaitable);
  co_return found == written ? found : std::string();
}

}  // namespace

int main(int count, char** arguments) {
  const std::filesystem::path path = count > 1 ? arguments[1] : "consumer.tmp";
  asio::io_context context;
  contrail::io::file_system files(context.get_executor());
  bool good = false;
  asio::co_spawn(context, round_trip(files, path), [&good](std::exception_ptr failure, const std::string& found) {
    if (failure) std::rethrow_exception(failure);
    good = !found.empty();
    std::cout << found << '\n';
  });
  context.run();
  return good ? 0 : 1;
}
