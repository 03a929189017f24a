#include <contrail/manifest.hpp>
#include <contrail/repository.hpp>

#include <chrono>
#include <cstdio>
#include <random>

namespace contrail {

namespace {

constexpr std::size_t longest_name = 4096;

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_hex(char c) noexcept { return is_digit(c) || (c >= 'a' && c <= 'f'); }

}  // namespace

bool is_safe_name(std::string_view name) noexcept {
  if (name.empty() || name.size() > longest_name) return false;
  if (name.find('\0') != std::string_view::npos || name.find('\\') != std::string_view::npos) return false;
  // A drive ("c:", "c:x") leads elsewhere on a system that has drives.
  const char first = static_cast<char>(name[0] | 0x20);
  if (name.size() >= 2 && name[1] == ':' && first >= 'a' && first <= 'z') return false;
  while (true) {
    const std::size_t slash = name.find('/');
    const std::string_view part = name.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == std::string_view::npos) return true;
    name.remove_prefix(slash + 1);
  }
}

std::string make_set_id() {
  using namespace std::chrono;
  const auto now = time_point_cast<seconds>(system_clock::now());
  const auto day = floor<days>(now);
  const year_month_day date(day);
  const hh_mm_ss<seconds> time(now - day);
  std::random_device random;
  std::string out(64, '\0');
  const int n = std::snprintf(out.data(), out.size(), "%04d%02u%02uT%02d%02d%02dZ-%08x", static_cast<int>(date.year()),
                              static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                              static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                              static_cast<int>(time.seconds().count()), static_cast<unsigned>(random()));
  out.resize(static_cast<std::size_t>(n));
  return out;
}

bool is_set_id(std::string_view id) noexcept {
  constexpr std::string_view form = "00000000T000000Z-xxxxxxxx";
  if (id.size() != form.size()) return false;
  for (std::size_t i = 0; i < form.size(); ++i) {
    const bool right = form[i] == '0' ? is_digit(id[i]) : form[i] == 'x' ? is_hex(id[i]) : id[i] == form[i];
    if (!right) return false;
  }
  return true;
}

std::string_view to_string(set_status status) noexcept {
  switch (status) {
    case set_status::complete: return "complete";
    case set_status::damaged: return "damaged";
    case set_status::in_progress: return "in-progress";
  }
  return "";
}

const set_entry* latest_of(const std::vector<set_entry>& sets) noexcept {
  const set_entry* best = nullptr;
  for (const set_entry& s : sets) {
    if (s.info == nullptr) continue;
    if (best == nullptr || s.info->sequence > best->info->sequence ||
        (s.info->sequence == best->info->sequence && s.set > best->set)) {
      best = &s;
    }
  }
  for (const set_entry& s : sets) {
    if (s.info != nullptr || s.status != set_status::damaged) continue;
    if (best == nullptr || s.set > best->set) best = &s;
  }
  return best;
}

}  // namespace contrail
