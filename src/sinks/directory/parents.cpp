#include "sinks/directory/parents.hpp"

#include <contrail/error.hpp>
#include "sinks/directory/layout.hpp"

#include <optional>
#include <utility>

namespace contrail::directory {

namespace {

asio::awaitable<manifest> parent_of(io::file_system fs, io::buffer_pool& texts, std::filesystem::path repository, const manifest& child,
                                    std::string operation) {
  const std::string wanted = child.parent.empty() ? "the set to build on" : "set " + child.parent;
  const auto missing = [&](const std::string& expected, const std::string& found) {
    fail(errc::missing_full_backup, operation, repository.string(), {}, wanted + expected, found);
  };
  if (!is_set_id(child.parent)) missing(" by its id", child.parent.empty() ? "none" : child.parent);
  std::optional<manifest> found;
  try {
    found = co_await read_manifest(fs, texts, repository, child.parent, operation);
  } catch (const error& e) {
    if (e.code() != errc::set_not_found) throw;
  }
  if (!found) missing(" in this repository", "no such set; back up into the repository that has it, or take a full backup");
  if (found->engine != child.engine) missing(" of the engine " + child.engine, "one of " + found->engine);
  if (found->at != child.parent_mark) {
    missing(" with the mark " + std::to_string(child.parent_mark.position), "the mark " + std::to_string(found->at.position) + ": another backup");
  }
  if (found->what == kind::copy) missing(", a full or incremental one", "a copy, which nothing builds on");
  // Also what ends the search: sequences fall.
  if (found->sequence >= child.sequence) {
    missing(" older than number " + std::to_string(child.sequence), "number " + std::to_string(found->sequence) + " of the repository");
  }
  co_return *std::move(found);
}

}  // namespace

asio::awaitable<void> require_parents(io::file_system fs, io::buffer_pool& texts, std::filesystem::path repository, manifest child,
                                      std::shared_ptr<const manifest> given, std::string operation) {
  while (is_chained(child.what)) {
    manifest parent = co_await parent_of(fs, texts, repository, child, operation);
    if (given != nullptr && parent.write() != given->write()) {
      fail(errc::missing_full_backup, operation, repository.string(), {}, "set " + given->set + " as it was given", "another one under its id");
    }
    given.reset();
    child = std::move(parent);
  }
}

}  // namespace contrail::directory
