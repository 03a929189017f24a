#include <contrail/io/random_access_file.hpp>

#include "common/file_state.hpp"

namespace contrail::io {

random_access_file::random_access_file() noexcept = default;
random_access_file::random_access_file(executor_type ex, std::shared_ptr<detail::file_state> state) noexcept
    : ex_(std::move(ex)), state_(std::move(state)) {}
random_access_file::random_access_file(random_access_file&&) noexcept = default;
random_access_file& random_access_file::operator=(random_access_file&&) noexcept = default;
random_access_file::~random_access_file() = default;

file_facts random_access_file::facts() const noexcept {
  if (state_ == nullptr) return {};
  return state_->facts;
}

void random_access_file::close() noexcept { state_.reset(); }

}  // namespace contrail::io
