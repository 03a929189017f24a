#include "operations/chain.hpp"

#include <contrail/error.hpp>

#include <algorithm>
#include <optional>
#include <utility>

namespace contrail::operations {

namespace {

std::size_t room_of(const manifest& m) noexcept {
  std::size_t out = sizeof(manifest) + m.engine_state.size();
  for (const manifest_database& d : m.databases) out += sizeof d + d.name.size() + d.restore_name.size() + d.signature.size();
  return out;
}

std::string operation_of(const std::string& set) { return "find the sets that set " + set + " was built on"; }

asio::awaitable<std::shared_ptr<const manifest>> parent_of(repository& from, std::shared_ptr<const manifest> child, std::size_t memory) {
  const std::string operation = operation_of(child->set);
  const std::string wanted = "set " + child->parent;
  if (child->parent.empty()) fail(errc::set_damaged, operation, {}, {}, "the set that it was built on", "a manifest that names none");
  if (!is_set_id(child->parent)) fail(errc::set_damaged, operation, {}, {}, "the id of a set", child->parent);
  std::unique_ptr<set_reader> reader;
  std::optional<error> problem;
  try {
    reader = co_await from.open(child->parent, memory);
  } catch (const error& e) {
    const std::error_code ec = e.code();
    if (ec != errc::set_not_found && ec != errc::set_damaged && ec != errc::set_incomplete && ec != errc::format_unknown) throw;
    problem = e;
  }
  if (problem && problem->code() == errc::set_not_found) {
    fail(errc::set_incomplete, operation, {}, {}, wanted + " in this repository", "no such set; nothing that was built on it can be restored");
  }
  if (problem) {
    error_details details = problem->details();
    details.operation = operation + ", " + wanted;
    throw error(problem->code(), std::move(details));
  }
  std::shared_ptr<const manifest> found = reader->info();
  const auto another = [&](const std::string& expected, const std::string& instead) {
    fail(errc::set_incomplete, operation, {}, {}, wanted + ", " + expected, instead);
  };
  if (found->set != child->parent) another("by that id", "set " + found->set);
  if (found->engine != child->engine) another("of the engine " + child->engine, "one of " + found->engine);
  if (found->at != child->parent_mark) {
    another("with the mark " + std::to_string(child->parent_mark.position), "the mark " + std::to_string(found->at.position) + ": another backup");
  }
  if (found->sequence >= child->sequence) {
    another("older than number " + std::to_string(child->sequence), "number " + std::to_string(found->sequence) + " of the repository");
  }
  co_return found;
}

}  // namespace

asio::awaitable<set_chain> find_chain(repository& from, std::string set, std::size_t memory) {
  set_chain out;
  {
    const std::unique_ptr<set_reader> reader = co_await from.open(std::move(set), memory);
    out.push_back(reader->info());
  }
  std::size_t used = room_of(*out.front());
  // It ends: sequences fall.
  while (is_chained(out.back()->what)) {
    std::shared_ptr<const manifest> parent = co_await parent_of(from, out.back(), memory);
    used += room_of(*parent);
    if (used > memory / 8) {
      fail(errc::out_of_memory, operation_of(out.front()->set), {}, {}, "a chain whose manifests fit into the memory allowed",
           "more than " + std::to_string(out.size()) + " sets; allow more memory");
    }
    out.push_back(std::move(parent));
  }
  std::reverse(out.begin(), out.end());
  co_return out;
}

void check_restorable(const set_chain& chain, const restorer& with, const std::string& operation) {
  const manifest& last = *chain.back();
  if (last.engine != with.engine()) {
    fail(errc::invalid_parameter, operation, last.set, {}, "a set of engine " + std::string(with.engine()), "one of " + last.engine);
  }
  const kind base = chain.front()->what;
  if (base == kind::full || (base == kind::copy && chain.size() == 1)) return;
  fail(errc::set_damaged, operation, chain.front()->set, {}, "a full set to begin with", "kind " + std::string(to_string(base)));
}

asio::awaitable<std::unique_ptr<set_reader>> open_link(repository& from, std::shared_ptr<const manifest> link, std::size_t memory) {
  std::unique_ptr<set_reader> reader = co_await from.open(link->set, memory);
  if (reader->info()->write() != link->write()) {
    fail(errc::set_damaged, "open set " + link->set, {}, {}, "the set as it was a moment ago", "another one under its id");
  }
  co_return reader;
}

}  // namespace contrail::operations
