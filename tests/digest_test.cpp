#include "format/digest.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <utility>
#include <vector>

namespace {

std::string of(const std::string& bytes, std::size_t piece) {
  contrail::digest d;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    const std::size_t n = std::min(piece, bytes.size() - at);
    d.update(asio::const_buffer(bytes.data() + at, n));
  }
  return d.text();
}

std::string sample(std::size_t n) {
  std::string out(n, '\0');
  for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<char>(i * 31 + (i >> 8) * 7 + (i >> 16));
  return out;
}

}  // namespace

// The values come from a program of its own that follows docs/repository-format.md with one-shot calls of XXH3_128bits.
TEST_CASE("digest: known answers", "[digest]") {
  CHECK(of("", 1) == "xxh3-128:10e45c7ce2292320743df94ee4c78a2a");
  CHECK(of("contrail", 8) == "xxh3-128:78e1982716785e32a1af42c0aaf22c7e");
  CHECK(of(sample((1 << 20) - 1), 65536) == "xxh3-128:44b0a91b9110579959b49c36d55aa6f9");
  CHECK(of(sample(1 << 20), 65536) == "xxh3-128:b30a97f749f5c62a660071c3fafdf269");
  CHECK(of(sample((1 << 20) + 1), 65536) == "xxh3-128:fc422d8154cf2e54ed5f6b98e5673f3f");
  CHECK(of(sample(3 << 20), 65536) == "xxh3-128:389d51b3e34689b882c84c3db6e43141");
  CHECK(of(sample(3500000), 65536) == "xxh3-128:dbabcc50a5e3869902e31fb0a5a40105");
}

TEST_CASE("digest: pieces of any length give the same", "[digest]") {
  const std::string bytes = sample(2500000);
  const std::string whole = of(bytes, bytes.size());
  for (const std::size_t piece : {std::size_t{7777}, std::size_t{65536}, std::size_t{1} << 20, (std::size_t{1} << 20) + 1}) {
    CHECK(of(bytes, piece) == whole);
  }
}

TEST_CASE("digest: can be copied, asked and continued", "[digest]") {
  const std::string bytes = sample(1500000);
  contrail::digest first;
  first.update(asio::const_buffer(bytes.data(), 700000));
  const std::string before = first.text();
  contrail::digest second = first;
  CHECK(second.bytes() == 700000);
  second.update(asio::const_buffer(bytes.data() + 700000, 800000));
  CHECK(second.text() == of(bytes, bytes.size()));
  CHECK(first.text() == before);
  first = second;
  CHECK(first.text() == second.text());
  contrail::digest moved = std::move(first);
  CHECK(moved.bytes() == bytes.size());
}

TEST_CASE("digest: sees bits, order, and length", "[digest]") {
  const std::string bytes = sample(3 << 20);
  const std::string right = of(bytes, 65536);
  for (const std::size_t at : {std::size_t{0}, std::size_t{1} << 20, (std::size_t{3} << 20) - 1}) {
    std::string flipped = bytes;
    flipped[at] = static_cast<char>(flipped[at] ^ 1);
    CHECK(of(flipped, 65536) != right);
  }
  const std::size_t mib = 1 << 20;
  const std::string swapped = bytes.substr(mib, mib) + bytes.substr(0, mib) + bytes.substr(2 * mib);
  CHECK(of(swapped, 65536) != right);
  CHECK(of(bytes.substr(0, 2 * mib), 65536) != right);
  CHECK(of(std::string(mib, '\0'), 65536) != of(std::string(mib + 1, '\0'), 65536));
}
