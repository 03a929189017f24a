#pragma once

#include <contrail/io/detail/initiate.hpp>
#include <contrail/io/random_access_file.hpp>

#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

namespace contrail::io::detail {

struct file_result {
  static constexpr bool keeps_file = true;
  std::tuple<std::error_code, random_access_file> take(operation& op, const asio::any_io_executor& ex) {
    if (op.error) return {op.error, random_access_file()};
    return {op.error, random_access_file(ex, std::move(op.file))};
  }
};
struct list_result : plain_payload {
  std::tuple<std::error_code, std::vector<entry>> take(operation& op, const asio::any_io_executor&) {
    return {op.error, std::move(op.names->entries)};
  }
};
struct stat_result : plain_payload {
  std::tuple<std::error_code, entry> take(operation& op, const asio::any_io_executor&) {
    return {op.error, std::move(op.names->found)};
  }
};
struct lock_result : plain_payload {
  std::tuple<std::error_code, held_lock> take(operation& op, const asio::any_io_executor&) {
    return {op.error, std::move(op.names->lock)};
  }
};

}  // namespace contrail::io::detail
