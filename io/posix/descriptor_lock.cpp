#include "posix/descriptor_lock.hpp"

#include <unistd.h>

namespace contrail::io::detail {

descriptor_lock::~descriptor_lock() { ::close(descriptor_); }

void descriptor_lock::remove_name() noexcept { ::unlink(path_.c_str()); }

}  // namespace contrail::io::detail
