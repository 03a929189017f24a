#include "common/anchor.hpp"
#include "common/backends.hpp"
#include "common/request_queue.hpp"

#include <contrail/io/backend.hpp>

#include <cstdlib>
#include <stdexcept>
#include <system_error>

namespace contrail::io {

std::string_view to_string(backend_kind kind) noexcept {
  switch (kind) {
    case backend_kind::automatic: return "auto";
    case backend_kind::uring: return "uring";
    case backend_kind::iocp: return "iocp";
    case backend_kind::threads: return "threads";
    case backend_kind::simulated: return "simulated";
  }
  return "?";
}

bool parse_backend(std::string_view text, backend_kind& out) noexcept {
  for (const backend_kind kind : {backend_kind::automatic, backend_kind::uring, backend_kind::iocp, backend_kind::threads}) {
    if (text != to_string(kind)) continue;
    out = kind;
    return true;
  }
  return false;
}

std::vector<backend_probe> probe_backends() {
  std::vector<backend_probe> all;
  for (const detail::offered_backend& one : detail::offered_backends()) all.push_back(one.probe());
  return all;
}

namespace detail {

namespace {

constexpr const char* variable = "CONTRAIL_IO_BACKEND";

void check(const backend_options& options) {
  if (options.depth < 1 || options.depth > 1024) throw std::invalid_argument("backend_options::depth must be 1 to 1024");
  if (options.worker_threads < 1 || options.worker_threads > 64) {
    throw std::invalid_argument("backend_options::worker_threads must be 1 to 64");
  }
  if (options.bytes_per_turn == 0) throw std::invalid_argument("backend_options::bytes_per_turn must not be 0");
}

backend_info as_info(const backend_probe& probe, const std::string& because) {
  backend_info info;
  info.kind = probe.kind;
  info.registered_buffers = probe.registered_buffers;
  info.direct_descriptors = probe.direct_descriptors;
  info.why = because + ": " + probe.why;
  return info;
}

/// "auto, uring or threads", as far as this build has them.
std::string names_of_backends() {
  const auto all = offered_backends();
  std::string out = "auto";
  for (std::size_t i = 0; i < all.size(); ++i) {
    out += i + 1 == all.size() ? " or " : ", ";
    out += to_string(all[i].kind);
  }
  return out;
}

struct choice {
  const offered_backend* backend = nullptr;
  backend_info info;
};

/// Which backend `options` and the environment ask for, and why. Throws std::system_error, std::invalid_argument.
choice choose_backend(const backend_options& options) {
  check(options);
  backend_kind wanted = options.kind;
  std::string because = "asked for";
  if (wanted == backend_kind::automatic) {
    because = "chosen by the probe";
    const char* text = std::getenv(variable);
    if (text != nullptr && *text != '\0') {
      if (!parse_backend(text, wanted)) {
        throw std::invalid_argument(std::string(variable) + " is \"" + text + "\"; expected " + names_of_backends());
      }
      if (wanted != backend_kind::automatic) because = std::string(variable) + "=" + text;
    }
  }
  std::string passed_over;
  for (const offered_backend& one : offered_backends()) {
    if (wanted != backend_kind::automatic && one.kind != wanted) continue;
    const backend_probe found = one.probe();
    if (found.available) {
      choice out;
      out.backend = &one;
      out.info = as_info(found, because);
      out.info.why += passed_over;
      return out;
    }
    if (wanted == one.kind) {
      throw std::system_error(std::make_error_code(std::errc::not_supported),
                              std::string(to_string(wanted)) + " backend (" + because + "): " + found.why);
    }
    passed_over += "; " + std::string(to_string(one.kind)) + ": " + found.why;
  }
  throw std::system_error(std::make_error_code(std::errc::not_supported),
                          std::string(to_string(wanted)) + " backend (" + because + "): not on this system; there are " + names_of_backends());
}

}  // namespace

std::shared_ptr<request_queue> make_queue(const asio::any_io_executor& ex, const backend_options& options) {
  choice chosen = choose_backend(options);
  auto& anchor = detail::anchor::of(ex);
  auto queue = std::make_shared<request_queue>(ex, anchor.pools(), options.bytes_per_turn);
  auto driver = chosen.backend->make(*queue, options);
  queue->attach(std::move(driver), std::move(chosen.info));
  anchor.add(queue);
  return queue;
}

std::shared_ptr<request_queue> make_call_queue(const asio::any_io_executor& ex, unsigned threads) {
  if (threads < 1 || threads > 64) throw std::invalid_argument("worker: threads must be 1 to 64");
  auto& anchor = detail::anchor::of(ex);
  auto queue = std::make_shared<request_queue>(ex, anchor.pools(), std::size_t{1} << 20);
  backend_options options;
  options.worker_threads = threads;
  auto driver = make_threads_driver(*queue, options);
  backend_info info;
  info.why = "calls that block";
  queue->attach(std::move(driver), std::move(info));
  anchor.add(queue);
  return queue;
}

}  // namespace detail

}  // namespace contrail::io
