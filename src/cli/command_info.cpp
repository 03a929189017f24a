#include "cli/build_info.hpp"
#include "cli/commands.hpp"
#include "cli/engine_table.hpp"

#include <contrail/io/backend.hpp>

#include <fmt/format.h>

namespace contrail::cli {

namespace {

json to_json(const io::backend_info& chosen) {
  json out = json_object();
  out["version"] = build_info::version();
  json backend;
  backend["name"] = to_string(chosen.kind);
  backend["why"] = chosen.why;
  backend["registered_buffers"] = chosen.registered_buffers;
  out["backend"] = std::move(backend);
  json backends = json::array();
  for (const io::backend_probe& probe : io::probe_backends()) {
    json one;
    one["name"] = to_string(probe.kind);
    one["available"] = probe.available;
    one["registered_buffers"] = probe.registered_buffers;
    one["why"] = probe.why;
    backends.push_back(std::move(one));
  }
  out["backends"] = std::move(backends);
  json engines = json::array();
  for (const scheme& row : known_schemes()) {
    json one;
    one["name"] = row.name;
    one["available"] = row.open != nullptr;
    one["version"] = nullptr;
    if (!row.version.empty()) {
      one["version"] = row.version;
    }
    one["build_option"] = nullptr;
    if (!row.build_option.empty()) {
      one["build_option"] = row.build_option;
    }
    engines.push_back(std::move(one));
  }
  out["engines"] = std::move(engines);
  json build;
  build["compiler"] = build_info::compiler();
  build["type"] = build_info::build_type();
  for (const auto& [name, on] : build_info::options()) {
    build["options"][std::string(name)] = on;
  }
  out["build"] = std::move(build);
  return out;
}

std::string in_words(const io::backend_info& chosen) {
  std::string out = fmt::format("contrail {}\n\nI/O backend: {} ({})\n", build_info::version(), to_string(chosen.kind), chosen.why);
  out += fmt::format("  registered buffers: {}\n", chosen.registered_buffers ? "yes" : "no");
  out += fmt::format("  direct descriptors: {}\n", chosen.direct_descriptors ? "yes" : "no");
  for (const io::backend_probe& probe : io::probe_backends()) {
    out += fmt::format("  {:<8} {}: {}\n", to_string(probe.kind), probe.available ? "available" : "not available", probe.why);
  }
  out += "\nEngines:\n";
  for (const scheme& row : known_schemes()) {
    if (row.open != nullptr) {
      out += fmt::format("  {:<10} {}, version {}\n", row.name, row.syntax, row.version);
    } else {
      out += fmt::format("  {:<10} not in this build ({})\n", row.name, row.build_option);
    }
  }
  out += fmt::format("\nBuild: {}, {}", build_info::build_type().empty() ? "no build type" : build_info::build_type(),
                     build_info::compiler());
  for (const auto& [name, on] : build_info::options()) {
    out += fmt::format(", {}={}", name, on ? "ON" : "OFF");
  }
  out += "\n";
  return out;
}

}  // namespace

int run_info(const arguments& given, console& out, runner& loop) {
  const io::file_system files = open_file_system(given, loop);
  if (out.as_json()) {
    out.print_json(to_json(files.info()));
  } else {
    out.print(in_words(files.info()));
  }
  return exit_status::done;
}

}  // namespace contrail::cli
