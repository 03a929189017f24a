#include "sinks/directory/path_table.hpp"

#include <algorithm>
#include <iterator>

namespace contrail::directory {

bool path_table::add(std::string_view path, std::string_view stored) {
  const std::size_t all = files_.size() + stored_.size() + directories_.size();
  if (all + 2 > most_ / 2) return false;   // a vector that grows exists twice
  stored_.push_back(hash_path(stored));
  files_.push_back(hash_path(path));
  const std::size_t end = path.rfind('/');
  const std::string_view directory = end == std::string_view::npos ? std::string_view() : path.substr(0, end);
  if (directory == last_directory_) return true;
  last_directory_ = directory;
  for (std::size_t slash = path.find('/'); slash != std::string_view::npos; slash = path.find('/', slash + 1)) {
    directories_.push_back(hash_path(path.substr(0, slash)));
  }
  return true;
}

void path_table::seal() {
  std::sort(files_.begin(), files_.end());
  std::sort(directories_.begin(), directories_.end());
  directories_.erase(std::unique(directories_.begin(), directories_.end()), directories_.end());
  for (auto at = files_.begin(); (at = std::adjacent_find(at, files_.end())) != files_.end(); ++at) conflicts_.push_back(*at);
  std::set_intersection(files_.begin(), files_.end(), directories_.begin(), directories_.end(), std::back_inserter(conflicts_));
  std::sort(conflicts_.begin(), conflicts_.end());
  std::sort(stored_.begin(), stored_.end());
  files_ = std::vector<path_hash>();
}

bool path_table::has_stored(std::string_view name) const {
  return std::binary_search(stored_.begin(), stored_.end(), hash_path(name));
}
bool path_table::has_directory(std::string_view path) const {
  return std::binary_search(directories_.begin(), directories_.end(), hash_path(path));
}
bool path_table::conflicts(std::string_view path) const {
  return std::binary_search(conflicts_.begin(), conflicts_.end(), hash_path(path));
}

}  // namespace contrail::directory
