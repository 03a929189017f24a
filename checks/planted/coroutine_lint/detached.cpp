#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>  // expect: detached

void start() {
  asio::co_spawn(ex, copy(), asio::detached);  // expect: detached
}
