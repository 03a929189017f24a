#include "sinks/directory/list_writer.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>
#include "async/file_calls.hpp"
#include "sinks/directory/layout.hpp"
#include "sinks/directory/line_reader.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <system_error>
#include <utility>

namespace contrail::directory {

namespace {

constexpr std::size_t lines_kept = std::size_t{48} << 10;

}  // namespace

asio::awaitable<void> remove_stored(io::file_system fs, std::filesystem::path top, std::string stored, std::string operation) {
  const std::filesystem::path path = top / io::to_path(stored);
  const std::error_code removed = co_await calls::remove(fs, path);
  calls::check(removed, operation, path);
  for (std::size_t slash = stored.rfind('/'); slash != std::string::npos; slash = stored.rfind('/')) {
    stored.resize(slash);
    const std::filesystem::path directory = top / io::to_path(stored);
    const std::error_code ec = co_await calls::remove(fs, directory);
    const bool in_use = ec == std::errc::directory_not_empty || calls::is_taken(ec);
    if (in_use) co_return;
    calls::check(ec, operation, directory);
  }
}

list_writer::list_writer(io::file_system fs, std::filesystem::path top, io::buffer_pool& pool, std::string operation)
    : fs_(std::move(fs)), top_(std::move(top)), path_(top_ / list_name), pool_(pool), operation_(std::move(operation)) {}

asio::awaitable<void> list_writer::add(file_id file, const manifest_file& entry) {
  const std::string text = entry.write();
  if (text.size() > most_line_bytes) fail(errc::invalid_parameter, operation_, entry.file.name, {}, "a shorter description");
  // What is promised to be readable is read, now that something can still be done about it.
  const manifest_file again = manifest_file::read(text, list_name);
  (void)again;
  closed_.push_back(file.value);
  ++files_;
  bytes_ += entry.bytes;
  lines_ += text;
  lines_ += '\n';
  if (lines_.size() >= lines_kept) co_await flush();
}

bool list_writer::drop(file_id file) {
  // From the end: what is dropped was closed not long ago.
  const auto at = std::find(closed_.rbegin(), closed_.rend(), file.value);
  if (file.value == 0 || at == closed_.rend()) return false;
  *at = 0;
  any_dropped_ = true;
  return true;
}

asio::awaitable<void> list_writer::flush() {
  if (out_ == nullptr) {
    io::open_options options;
    options.mode = io::access::write;
    options.create = true;
    options.exclusive = true;
    calls::opened opened = co_await calls::open(fs_, path_, options);
    calls::check(opened.ec, operation_, path_);
    out_ = std::make_unique<write_behind>(std::move(opened.file), operation_, path_.string());
  }
  digest_.update(asio::const_buffer(lines_.data(), lines_.size()));
  for (std::size_t at = 0; at < lines_.size();) {
    io::lease data = co_await calls::acquire(pool_);
    const std::size_t n = std::min(lines_.size() - at, data.buffer().size());
    std::memcpy(data.buffer().data(), lines_.data() + at, n);
    out_->write(written_, std::move(data), n);
    written_ += n;
    at += n;
  }
  lines_.clear();
}

// In place: what is kept is never longer than what was read before it.
asio::awaitable<void> list_writer::leave_out_dropped() {
  co_await out_->drain();
  io::buffer_pool own(fs_.get_executor(), 1, text_buffer_bytes);
  line_reader old(fs_, path_, own, operation_);
  co_await old.open();
  const std::string expected = digest_.text();
  digest_ = digest();
  written_ = files_ = bytes_ = 0;
  for (std::size_t i = 0;; ++i) {
    const std::optional<std::string> line = co_await old.next();
    if (!line.has_value()) break;
    const manifest_file entry = manifest_file::read(*line, list_name);
    if (i < closed_.size() && closed_[i] == 0) {
      co_await remove_stored(fs_, top_, stored_name(entry.file), operation_);
      continue;
    }
    ++files_;
    bytes_ += entry.bytes;
    lines_ += *line;
    lines_ += '\n';
    if (lines_.size() >= lines_kept) co_await flush();
  }
  const std::string found = old.digest_text();
  if (found != expected || old.lines() != closed_.size()) {
    fail(errc::disk_io, operation_, path_.string(), {}, "the lines that were written, digest " + expected, "others, digest " + found);
  }
  co_await flush();
  co_await out_->drain();
  const std::error_code cut = co_await calls::resize(out_->file(), written_);
  calls::check(cut, operation_, path_);
}

asio::awaitable<void> list_writer::finish() {
  co_await flush();
  if (any_dropped_) co_await leave_out_dropped();
  co_await out_->drain();
  const std::error_code ec = co_await calls::sync(out_->file());
  calls::check(ec, operation_, path_);
  out_->file().close();
  out_.reset();
}

asio::awaitable<void> list_writer::settle() {
  if (out_ == nullptr) co_return;
  co_await out_->settle();
  out_->file().close();
  out_.reset();
}

}  // namespace contrail::directory
