#pragma once

#include "format/digest.hpp"

#include <string>
#include <string_view>

inline std::string repo_digest(std::string_view bytes) {
  contrail::digest d;
  d.update(asio::const_buffer(bytes.data(), bytes.size()));
  return d.text();
}

/// What stands between the digest and the end of a manifest.json.
inline std::string repo_inner(const std::string& manifest) {
  const std::size_t from = manifest.find("\"manifest\":") + 11;
  return manifest.substr(from, manifest.size() - from - 2);
}

/// A manifest.json whose digest is right, whatever it says.
inline std::string repo_sign(const std::string& inner) { return "{\"digest\":\"" + repo_digest(inner) + "\",\n\"manifest\":" + inner + "}\n"; }
