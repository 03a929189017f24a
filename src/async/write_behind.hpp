#pragma once

#include <contrail/io/buffer_pool.hpp>
#include <contrail/io/random_access_file.hpp>

#include <asio/awaitable.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace contrail {

/// A file with several writes in flight; the leases that they own are the only bound. The first failure is final.
class write_behind {
 public:
  /// `operation` and `name` are for messages.
  write_behind(io::random_access_file file, std::string operation, std::string name);
  ~write_behind();
  write_behind(const write_behind&) = delete;
  write_behind& operator=(const write_behind&) = delete;

  /// Starts to write the first `bytes` of `data` at `offset`; does not wait. Throws what failed before.
  void write(std::uint64_t offset, io::lease data, std::size_t bytes);
  /// Throws the first failure, if there was one, as `contrail::error` with the name and the offset.
  void check() const;
  /// Nothing is in flight any more; whether it went well is not asked.
  [[nodiscard]] asio::awaitable<void> settle();
  /// settle() and check().
  [[nodiscard]] asio::awaitable<void> drain();
  io::random_access_file& file() noexcept;

 private:
  struct state;
  class step;
  std::shared_ptr<state> state_;
};

}  // namespace contrail
