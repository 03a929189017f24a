#include "format/digest.hpp"
#include "format/path_hash.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace contrail {

// The state of one chunk (about 600 bytes), the value so far and the length: all that a continued digest needs.
struct digest::state {
  XXH3_state_t chunk;
  XXH128_canonical_t folded{};   // D0: 16 zero bytes
  std::size_t in_chunk = 0;
  std::uint64_t total = 0;

  state() { XXH3_128bits_reset(&chunk); }

  static XXH128_canonical_t canonical(XXH128_hash_t value) {
    XXH128_canonical_t out;
    XXH128_canonicalFromHash(&out, value);
    return out;
  }

  // The value with the chunk that is open, if anything is in it.
  XXH128_canonical_t fold_open_chunk() const {
    if (in_chunk == 0) return folded;
    const XXH128_canonical_t own = canonical(XXH3_128bits_digest(&chunk));
    std::array<unsigned char, 32> both{};
    std::memcpy(both.data(), folded.digest, 16);
    std::memcpy(both.data() + 16, own.digest, 16);
    return canonical(XXH3_128bits(both.data(), both.size()));
  }
};

digest::digest() : state_(std::make_unique<state>()) {}
digest::digest(const digest& other) : state_(std::make_unique<state>(*other.state_)) {}
digest& digest::operator=(const digest& other) {
  if (this != &other) state_ = std::make_unique<state>(*other.state_);
  return *this;
}
digest::digest(digest&&) noexcept = default;
digest& digest::operator=(digest&&) noexcept = default;
digest::~digest() = default;

void digest::update(asio::const_buffer piece) {
  const auto* at = static_cast<const unsigned char*>(piece.data());
  std::size_t left = piece.size();
  state& s = *state_;
  s.total += left;
  while (left != 0) {
    const std::size_t take = std::min(left, chunk_bytes - s.in_chunk);
    XXH3_128bits_update(&s.chunk, at, take);
    s.in_chunk += take;
    at += take;
    left -= take;
    if (s.in_chunk == chunk_bytes) {
      s.folded = s.fold_open_chunk();
      s.in_chunk = 0;
      XXH3_128bits_reset(&s.chunk);
    }
  }
}

std::uint64_t digest::bytes() const noexcept { return state_->total; }

std::string digest::text() const {
  const XXH128_canonical_t folded = state_->fold_open_chunk();
  std::array<unsigned char, 24> last{};
  std::memcpy(last.data(), folded.digest, 16);
  for (unsigned i = 0; i < 8; ++i) last[16 + i] = static_cast<unsigned char>(state_->total >> (8 * i));
  const XXH128_canonical_t value = state::canonical(XXH3_128bits(last.data(), last.size()));
  std::string out = "xxh3-128:";
  for (const unsigned char byte : value.digest) {
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15];
  }
  return out;
}

path_hash hash_path(std::string_view path) noexcept {
  const XXH128_hash_t value = XXH3_128bits(path.data(), path.size());
  path_hash out;
  out.high = value.high64;
  out.low = value.low64;
  return out;
}

}  // namespace contrail
