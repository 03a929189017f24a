#include "common/aligned_memory.hpp"

#include <new>

#include <sys/mman.h>

namespace contrail::io::detail {

std::byte* map_memory(std::size_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return static_cast<std::byte*>(memory);
}

void unmap_memory(std::byte* memory, std::size_t bytes) noexcept {
  ::munmap(memory, bytes);
}

}  // namespace contrail::io::detail
