#include <contrail/io/detail/asio_configuration.hpp>

namespace contrail::io::detail {

// Instantiated by the pointer in the header, with the settings of this file alone.
template <typename... Settings>
void asio_configuration<Settings...>::compiled_in() noexcept {}

}  // namespace contrail::io::detail
