// Prints a file, through whatever the system offers best, without disturbing its page cache.
#include <contrail/io/buffer_pool.hpp>
#include <contrail/io/file_system.hpp>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/use_awaitable.hpp>

#include <exception>
#include <iostream>

asio::awaitable<void> print_file(contrail::io::file_system files, std::filesystem::path path) {
  contrail::io::open_options how;
  how.cache = contrail::io::caching::neutral;
  contrail::io::random_access_file file = co_await files.async_open(path, how, asio::use_awaitable);
  contrail::io::buffer_pool pool(files.get_executor(), 1, 256 << 10);
  const contrail::io::lease buffer = co_await pool.async_acquire(asio::use_awaitable);
  for (std::uint64_t at = 0; at < file.facts().bytes;) {
    const std::size_t n = co_await file.async_read_some_at(at, buffer.buffer(), asio::use_awaitable);
    std::cout.write(static_cast<const char*>(buffer.buffer().data()), static_cast<std::streamsize>(n));
    at += n;
  }
}

int main(int count, char** arguments) {
  if (count != 2) return 2;
  asio::io_context context;
  contrail::io::file_system files(context.get_executor());
  asio::co_spawn(context, print_file(files, arguments[1]), [](std::exception_ptr failure) {
    if (failure) std::rethrow_exception(failure);
  });
  context.run();
}
