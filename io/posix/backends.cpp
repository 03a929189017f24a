#include "common/backends.hpp"

#include <array>

namespace contrail::io::detail {

std::span<const offered_backend> offered_backends() noexcept {
  static constexpr std::array<offered_backend, 2> all{{
      {backend_kind::uring, &probe_uring, &make_uring_driver},
      {backend_kind::threads, &probe_threads, &make_threads_driver},
  }};
  return all;
}

}  // namespace contrail::io::detail
