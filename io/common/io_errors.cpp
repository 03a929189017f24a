#include "common/io_errors.hpp"

#include <string>

namespace contrail::io::detail {

namespace {

class io_category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "contrail.io"; }
  std::string message(int value) const override {
    switch (static_cast<io_errc>(value)) {
      case io_errc::cancelled_by_system: return "the system or a driver cancels the request each time it is made; nobody asked for that";
      case io_errc::short_name_of_another: return "the name is the short form of another file's name, which is left alone";
    }
    return "unknown";
  }
  std::error_condition default_error_condition(int value) const noexcept override {
    switch (static_cast<io_errc>(value)) {
      case io_errc::cancelled_by_system: return std::make_error_condition(std::errc::io_error);
      case io_errc::short_name_of_another: return std::make_error_condition(std::errc::file_exists);
    }
    return {value, *this};
  }
};

}  // namespace

std::error_code make_error_code(io_errc e) noexcept {
  static const io_category category;
  return {static_cast<int>(e), category};
}

}  // namespace contrail::io::detail
