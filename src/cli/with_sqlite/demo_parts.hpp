#pragma once

#include "cli/bank.hpp"

#include <contrail/progress.hpp>
#include <contrail/restorer.hpp>
#include <contrail/verify.hpp>

#include <asio/awaitable.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

/// The stagehands of the demonstration.
namespace contrail::cli {

/// The one restorer that the demonstration needs.
class only_one final : public restorer_registry {
 public:
  explicit only_one(restorer& one) : one_(one) {}
  restorer* find(std::string_view engine) override { return engine == one_.engine() ? &one_ : nullptr; }

 private:
  restorer& one_;
};

/// What any copying tool does with the database and its log, no faster than `bytes_per_second`; each of the length at its start, for a
/// log under writers has no end. The bytes. Cancellation is seen between pieces.
asio::awaitable<std::uint64_t> copy_plainly(std::filesystem::path database, std::filesystem::path to, std::uint64_t bytes_per_second,
                                            progress& counters);

/// What a copy is worth. Empty: nothing that was acknowledged before it began is missing, nothing is there that came after its end, and
/// the books are right. Otherwise what is wrong.
std::string judge(const bank::findings& found, const std::vector<std::uint64_t>& before, const std::vector<std::uint64_t>& after);

/// The tellers before and during the backup, a table.
std::string show_paces(const bank::pace& before, const bank::pace& during);

/// One copy of the bank, for show_copies.
struct demo_copy {
  demo_copy() = default;
  std::uint64_t bytes = 0;
  double seconds = 0;
  bank::findings found;
  std::string problem;   ///< as judge() says
};
/// The backup beside the plain copy, a table.
std::string show_copies(const demo_copy& backup, const demo_copy& plain);

}  // namespace contrail::cli
