#include "common/aligned_memory.hpp"

#include <new>

#include <windows.h>

namespace contrail::io::detail {

std::byte* map_memory(std::size_t bytes) {
  void* memory = ::VirtualAlloc(nullptr, bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
  if (memory == nullptr) throw std::bad_alloc();
  return static_cast<std::byte*>(memory);
}

void unmap_memory(std::byte* memory, std::size_t) noexcept { ::VirtualFree(memory, 0, MEM_RELEASE); }

}  // namespace contrail::io::detail
