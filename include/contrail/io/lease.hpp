#pragma once

#include <contrail/io/detail/asio_configuration.hpp>

#include <asio/buffer.hpp>

#include <cstdint>
#include <memory>

namespace contrail::io {

namespace detail {
class pool_state;
}

/// Move-only share of one aligned buffer of a `buffer_pool`. Passing it by value gives it away; the buffer is free again when the last
/// share, and the last system operation on it, has ended. Any thread.
class lease {
 public:
  lease() noexcept;
  /// Takes over one share that was counted already.
  lease(std::shared_ptr<detail::pool_state> pool, std::uint32_t slot) noexcept;
  lease(lease&& other) noexcept;
  lease& operator=(lease&& other) noexcept;
  ~lease();
  explicit operator bool() const noexcept { return pool_ != nullptr; }
  /// The whole buffer. Empty for an empty lease.
  asio::mutable_buffer buffer() const noexcept;
  /// A second owner; the buffer is read-only from then on. Empty for an empty lease.
  lease share() const noexcept;
  void reset() noexcept;
  const std::shared_ptr<detail::pool_state>& pool() const noexcept { return pool_; }

 private:
  std::shared_ptr<detail::pool_state> pool_;
  std::uint32_t slot_ = 0;
};

}  // namespace contrail::io
