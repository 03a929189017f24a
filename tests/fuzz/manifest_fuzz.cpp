#include <contrail/manifest.hpp>

#include <contrail/error.hpp>
#include "support/repo_sign.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

// Both as it comes and with its digest made right: behind the digest the parser must stand by itself. What is read can be written and
// read again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const std::string& candidate : {text, repo_sign(text)}) {
    try {
      const contrail::manifest m = contrail::manifest::read(candidate, "manifest.json");
      const std::string again = m.write();
      if (contrail::manifest::read(again, "manifest.json").write() != again) std::abort();
    } catch (const contrail::error&) {
    }
  }
  return 0;
}
