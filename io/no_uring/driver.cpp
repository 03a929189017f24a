#include "common/backends.hpp"

#include <system_error>

namespace contrail::io::detail {

backend_probe probe_uring() {
  backend_probe probe;
  probe.kind = backend_kind::uring;
  probe.why = "not in this build (liburing was not found, or CONTRAIL_URING is off)";
  return probe;
}

std::unique_ptr<driver> make_uring_driver(driver_host&, const backend_options&) {
  throw std::system_error(std::make_error_code(std::errc::not_supported), probe_uring().why);
}

}  // namespace contrail::io::detail
