#include <contrail/io/file_identity.hpp>

#include <sys/stat.h>

namespace contrail::io {

std::optional<file_identity> identity_of(std::intptr_t native) noexcept {
  struct stat facts {};
  if (::fstat(static_cast<int>(native), &facts) != 0) return {};
  return file_identity{static_cast<std::uint64_t>(facts.st_dev), static_cast<std::uint64_t>(facts.st_ino)};
}

}  // namespace contrail::io
