#include "common/perform.hpp"

#include <new>
#include <system_error>

namespace contrail::io::detail {

void perform(operation& op) noexcept {
  op.error.clear();
  op.count = 0;
  try {
    if (op.what == request::call) {
      op.invoke(op);
    } else if (op.names != nullptr) {
      perform_on_names(op);
    } else {
      perform_on_file(op);
    }
  } catch (const std::system_error& e) {
    op.error = e.code();
  } catch (const std::bad_alloc&) {
    op.error = std::make_error_code(std::errc::not_enough_memory);
  } catch (...) {
    op.error = std::make_error_code(std::errc::io_error);
  }
}

}  // namespace contrail::io::detail
