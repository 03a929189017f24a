#pragma once

#include <contrail/source.hpp>

#include <asio/awaitable.hpp>

#include <utility>
#include <vector>

namespace contrail::detail {

/// A list of files that are known beforehand, and few.
class one_batch final : public file_list {
 public:
  explicit one_batch(std::vector<file_info> files) : files_(std::move(files)) {}
  [[nodiscard]] asio::awaitable<std::vector<file_info>> next() override {
    std::vector<file_info> out;
    out.swap(files_);
    co_return out;
  }

 private:
  std::vector<file_info> files_;
};

}  // namespace contrail::detail
