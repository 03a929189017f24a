#include <contrail/manifest.hpp>

#include <contrail/error.hpp>
#include "support/repo_mutation.hpp"
#include "support/repo_samples.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string>

namespace {

void try_line(const std::string& line) {
  try {
    const contrail::manifest_file f = contrail::manifest_file::read(line, "files.jsonl");
    if (!contrail::is_safe_name(f.file.name) || f.valid > f.bytes) std::abort();
    const std::string again = f.write();
    if (contrail::manifest_file::read(again, "files.jsonl").write() != again) std::abort();
  } catch (const contrail::error&) {
  }
}

}  // namespace

// The line as it comes, and, so that every run gets deep, a valid one that was changed in ways that the input chooses.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string sample = repo_sample_line().write();
  const std::string line(reinterpret_cast<const char*>(data), size);
  try_line(line);
  repo_random random(std::hash<std::string>()(line));
  try_line(repo_mutate(sample, random));
  return 0;
}
