#pragma once

#include <asio/buffer.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace contrail {

/// The digest of a file in a set: XXH3-128 over chunks of `chunk_bytes`, folded to one value (docs/repository-format.md). Takes pieces of
/// any length; needs the same small memory whatever the length of the file, and can be copied to be continued later.
class digest {
 public:
  static constexpr std::size_t chunk_bytes = std::size_t{1} << 20;

  digest();
  digest(const digest& other);
  digest& operator=(const digest& other);
  digest(digest&&) noexcept;
  digest& operator=(digest&&) noexcept;
  ~digest();

  void update(asio::const_buffer piece);
  /// Bytes seen so far.
  std::uint64_t bytes() const noexcept;
  /// "xxh3-128:" and 32 hexadecimal digits, of all that was seen; `update` may go on afterwards.
  std::string text() const;

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace contrail
