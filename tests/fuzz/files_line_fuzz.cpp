#include <contrail/manifest.hpp>

#include <contrail/error.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  try {
    const contrail::manifest_file f = contrail::manifest_file::read(line, "files.jsonl");
    if (!contrail::is_safe_name(f.file.name) || f.valid > f.bytes) std::abort();
    const std::string again = f.write();
    if (contrail::manifest_file::read(again, "files.jsonl").write() != again) std::abort();
  } catch (const contrail::error&) {
  }
  return 0;
}
