#include "engines/pagestore/backup/log_source.hpp"

#include "engines/pagestore/log/log_verifier.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>
#include "async/file_calls.hpp"

#include <utility>

namespace contrail::pagestore {

namespace {

class log_source final : public source {
 public:
  log_source(std::unique_ptr<source> body, std::string name, std::uint32_t generation, log_header next, std::function<void()> finished)
      : name_(std::move(name)),
        check_(generation, std::move(next)),
        finished_(std::move(finished)),
        body_(std::move(body)) {}

  std::uint64_t bytes() const noexcept override { return body_->bytes(); }
  std::size_t granularity() const noexcept override { return log_header_bytes; }
  asio::awaitable<std::size_t> read(std::uint64_t offset, asio::mutable_buffer into) override { return body_->read(offset, into); }

  std::error_code fold(std::uint64_t offset, asio::const_buffer chunk) override {
    const const_byte_span bytes(static_cast<const std::byte*>(chunk.data()), chunk.size());
    if (!wrong_) wrong_ = check_.take(bytes);
    if (wrong_) return make_error_code(errc::log_read_verify_failure);
    return body_->fold(offset, chunk);
  }

  asio::awaitable<std::uint64_t> finish(asio::mutable_buffer) override {
    if (!wrong_) wrong_ = check_.finish();
    if (wrong_) fail(errc::log_read_verify_failure, "copy log", name_, check_.taken(), "a log that was ended", *wrong_);
    finished_();
    co_return check_.taken();
  }

 private:
  std::string name_;
  log_verifier check_;
  std::function<void()> finished_;
  std::unique_ptr<source> body_;
  std::optional<std::string> wrong_;
};

}  // namespace

asio::awaitable<std::unique_ptr<source>> open_log_source(io::file_system fs, log_copy what, std::uint32_t generation, std::function<void()> finished) {
  io::open_options how;
  how.cache = io::caching::neutral;
  calls::opened opened = co_await calls::open(fs, what.path, how);
  if (calls::is_missing(opened.ec)) fail(errc::missing_file_to_backup, "copy log", io::to_text(what.path), {}, "the log", "no such file");
  calls::check(opened.ec, "copy log", what.path);
  std::string name = io::to_text(what.path);
  const std::uint64_t bytes = opened.file.facts().bytes;
  std::unique_ptr<source> body = make_file_source(std::move(opened.file), bytes);
  std::unique_ptr<source> out =
      std::make_unique<log_source>(std::move(body), std::move(name), generation, std::move(what.next), std::move(finished));
  co_return out;
}

}  // namespace contrail::pagestore
