#include <contrail/io/file_identity.hpp>

#include "windows/handle.hpp"
#include "windows/names.hpp"

namespace contrail::io {

std::optional<file_identity> identity_of(std::intptr_t native) noexcept {
  BY_HANDLE_FILE_INFORMATION record{};
  if (::GetFileInformationByHandle(detail::as_handle(native), &record) == 0) return {};
  const file_facts facts = detail::facts_of(detail::as_handle(native), record);
  return file_identity{facts.device, facts.inode};
}

}  // namespace contrail::io
