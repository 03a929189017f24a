#include "format/storable_names.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>

namespace contrail {

namespace {

// An entry of a map: two hashes, and what the tree and the allocator add.
constexpr std::size_t entry_bytes = 2 * sizeof(path_hash) + 6 * sizeof(void*);

}  // namespace

storable_names::rules storable_names::rules_of(const io::file_system& fs) {
  rules out;
  if (fs.info().kind == io::backend_kind::simulated) return out;
  out.why_not = &io::why_not_a_file_name;
  if (io::file_names_fold()) out.fold = &io::fold_file_name;
  return out;
}

storable_names::storable_names(const rules& with, std::size_t memory) noexcept : rules_(with), most_(memory / entry_bytes) {}

void storable_names::require_storable(std::string_view name, std::string_view operation) const {
  if (rules_.why_not == nullptr) return;
  for (std::string_view rest = name;;) {
    const std::size_t slash = rest.find('/');
    const std::string_view reason = rules_.why_not(rest.substr(0, slash));
    if (!reason.empty()) {
      fail(errc::invalid_path, std::string(operation), std::string(name), {}, "a name that this system can store", std::string(reason));
    }
    if (slash == std::string_view::npos) return;
    rest.remove_prefix(slash + 1);
  }
}

void storable_names::compare(std::string_view path, std::string_view name, std::string_view operation) const {
  const auto at = written_.find(hash_path(rules_.fold(path)));
  if (at == written_.end() || at->second == hash_path(path)) return;
  fail(errc::invalid_path, std::string(operation), std::string(name), {}, "names that this system tells apart",
       "a second way of writing \"" + std::string(path) + "\", in other capital or small letters");
}

void storable_names::remember(std::string_view path, std::string_view name, std::string_view operation) {
  if (!written_.emplace(hash_path(rules_.fold(path)), hash_path(path)).second) return;
  if (written_.size() <= most_) return;
  fail(errc::out_of_memory, std::string(operation), std::string(name), {}, "at most " + std::to_string(most_) + " names, whose table is kept in memory",
       "more");
}

void storable_names::require_apart(std::string_view name, std::string_view operation) {
  require_storable(name, operation);
  if (rules_.fold == nullptr) return;
  const std::size_t end = name.rfind('/');
  const std::string_view directory = end == std::string_view::npos ? std::string_view() : name.substr(0, end);
  if (directory != last_directory_) {
    for (std::size_t slash = name.find('/'); slash != std::string_view::npos; slash = name.find('/', slash + 1)) {
      const std::string_view path = name.substr(0, slash);
      compare(path, name, operation);
      remember(path, name, operation);
    }
    last_directory_ = directory;
  }
  compare(name, name, operation);
}

void storable_names::add(std::string_view name, std::string_view operation) {
  require_apart(name, operation);
  if (rules_.fold != nullptr) remember(name, name, operation);
}

bool storable_names::holds(std::string_view name) const { return rules_.fold != nullptr && written_.count(hash_path(rules_.fold(name))) != 0; }

}  // namespace contrail
