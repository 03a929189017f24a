#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

/// A mutator that now and then begins with a whole structure at its limits, so that a fuzzer without a corpus does not have to find these
/// first, and takes one of its bytes one too far: what a check that is wrong by one lets through.
namespace contrail::test {

/// `sample(n)`: an input for any n.
template <typename Sample>
std::size_t mutate_samples(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed, const Sample& sample) {
  std::minstd_rand any(seed);
  const auto below = [&any](std::size_t limit) { return std::uniform_int_distribution<std::size_t>(0, limit - 1)(any); };
  if (size >= 4 && below(4) != 0) {
    return LLVMFuzzerMutate(data, size, max_size);
  }
  const std::vector<std::byte> fresh = sample(static_cast<unsigned>(below(1000)));
  size = std::min(fresh.size(), max_size);
  std::memcpy(data, fresh.data(), size);
  switch (below(4)) {
    case 0:
      return size;
    case 1:
      return LLVMFuzzerMutate(data, size, max_size);
    default: {
      std::uint8_t& byte = data[below(std::min(size, below(4) != 0 ? std::size_t{64} : size))];
      byte = static_cast<std::uint8_t>(byte + (below(2) == 0 ? 1 : 255));
      return size;
    }
  }
}

}  // namespace contrail::test
