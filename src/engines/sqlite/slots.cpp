#include "slots.hpp"

#include <mutex>
#include <set>

namespace contrail::sqlite {

namespace {

struct slot_table {
  std::mutex guard;
  std::set<file_identity> taken;
};

slot_table& slots() {
  static slot_table table;
  return table;
}

struct slot {
  explicit slot(file_identity which) noexcept : file(which) {}
  slot(const slot&) = delete;
  slot& operator=(const slot&) = delete;
  ~slot() {
    const std::lock_guard lock(slots().guard);
    slots().taken.erase(file);
  }
  file_identity file;
};

}  // namespace

std::shared_ptr<void> take_slot(file_identity file) {
  {
    const std::lock_guard lock(slots().guard);
    if (!slots().taken.insert(file).second) {
      return nullptr;
    }
  }
  try {
    return std::make_shared<slot>(file);
  } catch (...) {
    const std::lock_guard lock(slots().guard);
    slots().taken.erase(file);
    throw;
  }
}

}  // namespace contrail::sqlite
