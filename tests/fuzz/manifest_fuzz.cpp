#include <contrail/manifest.hpp>

#include <contrail/error.hpp>
#include "support/repo_mutation.hpp"
#include "support/repo_samples.hpp"
#include "support/repo_sign.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string>

namespace {

// What is read can be written and read again.
void try_text(const std::string& text) {
  try {
    const contrail::manifest m = contrail::manifest::read(text, "manifest.json");
    const std::string again = m.write();
    if (contrail::manifest::read(again, "manifest.json").write() != again) std::abort();
  } catch (const contrail::error&) {
  }
}

}  // namespace

// The text as it comes; with its digest made right, for behind the digest the parser must stand by itself; and, so that every run gets deep,
// a valid manifest that was changed in ways that the input chooses.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string sample = repo_inner(repo_sample_manifest().write());
  const std::string text(reinterpret_cast<const char*>(data), size);
  try_text(text);
  try_text(repo_sign(text));
  repo_random random(std::hash<std::string>()(text));
  try_text(repo_sign(repo_mutate(sample, random)));
  return 0;
}
