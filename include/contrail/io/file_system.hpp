#pragma once

#include <contrail/io/backend.hpp>
#include <contrail/io/detail/initiate.hpp>
#include <contrail/io/detail/name_results.hpp>
#include <contrail/io/entry.hpp>
#include <contrail/io/held_lock.hpp>
#include <contrail/io/open_options.hpp>
#include <contrail/io/random_access_file.hpp>

#include <asio/any_io_executor.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace contrail::io {

/// A name space reached through one backend. Cheap handle, copies share. Any thread.
///
/// All operations are asynchronous, take any completion token, run their handlers on the associated executor, and know all cancellation
/// types; a cancelled operation that the system had already begun reports what it did. Errors are the system's
/// (std::system_category), `asio::error::operation_aborted` after a cancellation.
/// When the execution context is destroyed, operations in flight are waited for (the kernel may still own their memory) and dropped.
class file_system {
 public:
  /// Probes. Throws std::system_error when a forced backend is not there, std::invalid_argument for options out of range.
  explicit file_system(asio::any_io_executor ex, const backend_options& options = {});
  /// The context's own, made on first use with default options.
  static file_system of(asio::any_io_executor ex);

  asio::any_io_executor get_executor() const noexcept { return ex_; }
  const backend_info& info() const noexcept;

  /// void(std::error_code, random_access_file)
  template <typename Token>
  auto async_open(std::filesystem::path path, open_options options, Token&& token) {
    return asio::async_initiate<Token, void(std::error_code, random_access_file)>(
        detail::initiate_name<detail::file_result>(ex_, queue_, detail::request::open, std::move(path), {}, options), token);
  }
  /// void(std::error_code). Replaces `to`.
  template <typename Token>
  auto async_rename(std::filesystem::path from, std::filesystem::path to, Token&& token) {
    return simple(detail::request::rename, std::move(from), std::move(to), token);
  }
  /// void(std::error_code). As async_rename, but fails with `std::errc::file_exists` when `to` is there.
  template <typename Token>
  auto async_rename_new(std::filesystem::path from, std::filesystem::path to, Token&& token) {
    return simple(detail::request::rename_new, std::move(from), std::move(to), token);
  }
  /// void(std::error_code). A file or an empty directory.
  template <typename Token>
  auto async_remove(std::filesystem::path path, Token&& token) {
    return simple(detail::request::remove, std::move(path), {}, token);
  }
  /// void(std::error_code). A directory with all that is in it; links are removed, not followed. Missing is success.
  template <typename Token>
  auto async_remove_all(std::filesystem::path path, Token&& token) {
    return simple(detail::request::remove_all, std::move(path), {}, token);
  }
  /// void(std::error_code). Rights 0700. Fails with `std::errc::file_exists` when the name is taken.
  template <typename Token>
  auto async_make_directory(std::filesystem::path path, Token&& token) {
    return simple(detail::request::make_directory, std::move(path), {}, token);
  }
  /// void(std::error_code). Creations, renames and removals in the directory are on stable storage.
  template <typename Token>
  auto async_sync_directory(std::filesystem::path path, Token&& token) {
    return simple(detail::request::sync_directory, std::move(path), {}, token);
  }
  /// void(std::error_code). Does not follow a link.
  template <typename Token>
  auto async_set_attributes(std::filesystem::path path, attributes value, Token&& token) {
    return asio::async_initiate<Token, void(std::error_code)>(
        detail::initiate_name<detail::no_result>(ex_, queue_, detail::request::set_attributes, std::move(path), {}, {}, value),
        token);
  }
  /// void(std::error_code, std::vector<entry>), sorted by name, without "." and "..".
  template <typename Token>
  auto async_list(std::filesystem::path path, Token&& token) {
    return asio::async_initiate<Token, void(std::error_code, std::vector<entry>)>(
        detail::initiate_name<detail::list_result>(ex_, queue_, detail::request::list, std::move(path), {}), token);
  }
  /// void(std::error_code, entry). Links are not followed.
  template <typename Token>
  auto async_stat(std::filesystem::path path, Token&& token) {
    return asio::async_initiate<Token, void(std::error_code, entry)>(
        detail::initiate_name<detail::stat_result>(ex_, queue_, detail::request::stat, std::move(path), {}), token);
  }
  /// void(std::error_code, held_lock). Creates the file (rights 0600), never waits: `std::errc::resource_unavailable_try_again` when
  /// somebody holds it.
  template <typename Token>
  auto async_lock(std::filesystem::path path, Token&& token) {
    return asio::async_initiate<Token, void(std::error_code, held_lock)>(
        detail::initiate_name<detail::lock_result>(ex_, queue_, detail::request::lock, std::move(path), {}), token);
  }

  /// On a queue with a driver of its own (simulated disks, tests).
  file_system(asio::any_io_executor ex, std::shared_ptr<detail::request_queue> queue);

 private:
  template <typename Token>
  auto simple(detail::request what, std::filesystem::path first, std::filesystem::path second, Token& token) {
    return asio::async_initiate<Token, void(std::error_code)>(
        detail::initiate_name<detail::no_result>(ex_, queue_, what, std::move(first), std::move(second)), token);
  }

  asio::any_io_executor ex_;
  std::shared_ptr<detail::request_queue> queue_;
};

}  // namespace contrail::io
