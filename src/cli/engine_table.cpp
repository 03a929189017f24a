#include "cli/engine_table.hpp"

#include "cli/failure.hpp"
#include "cli/quantities.hpp"

#include <contrail/io/file_names.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

namespace contrail::cli {

namespace {

scheme not_built(std::string name, std::string syntax, std::string build_option) {
  scheme out;
  out.name = std::move(name);
  out.syntax = std::move(syntax);
  out.build_option = std::move(build_option);
  return out;
}

/// One letter is the name of a drive.
bool is_scheme_name(std::string_view text) {
  return text.size() > 1 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
  });
}

bool looks_like_sqlite(const std::string& path) {
  std::array<char, 16> head{};
  std::ifstream file(io::to_path(path), std::ios::binary);
  return file.read(head.data(), head.size()) && std::string_view(head.data(), head.size()) == std::string_view("SQLite format 3\0", 16);
}

/// It has a checkpoint.
bool looks_like_pagestore(const std::string& path) {
  std::error_code ec;
  for (const auto& entry : std::filesystem::directory_iterator(io::to_path(path), ec)) {
    const std::string name = io::to_text(entry.path().filename());
    if (name.size() == 7 && name.ends_with(".chk")) {
      return true;
    }
  }
  return false;
}

std::string all_syntaxes() {
  std::string out;
  for (const scheme& row : known_schemes()) {
    if (row.open != nullptr) {
      out += out.empty() ? row.syntax : ", " + row.syntax;
    }
  }
  return out.empty() ? "this build has no engine" : "this build knows " + out;
}

std::string hint_for_bare(const std::string& text) {
  if (looks_like_sqlite(text)) {
    return fmt::format("this file looks like a SQLite database: write sqlite:{}", text);
  }
  if (looks_like_pagestore(text)) {
    return fmt::format("this directory looks like a pagestore: write pagestore:{}", text);
  }
  return fmt::format("write ENGINE:PLACE; {}", all_syntaxes());
}

[[noreturn]] void fail_not_built(std::string_view engine, std::string_view build_option) {
  fail(errc::feature_not_built, fmt::format("find the engine \"{}\"", printable(engine)), {}, {}, {},
       fmt::format("this build was made without it; the build option is {}", build_option));
}

}  // namespace

std::vector<scheme> known_schemes() {
  std::vector<scheme> out;
  out.push_back(sqlite_scheme());
  out.push_back(pagestore_scheme());
  out.push_back(not_built("rocksdb", "rocksdb:DIRECTORY", "CONTRAIL_ROCKSDB"));
  out.push_back(not_built("postgres", "postgres:CONNECTION", "CONTRAIL_POSTGRES"));
  return out;
}

source_uri resolve_source(const std::string& text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos || !is_scheme_name(std::string_view(text).substr(0, colon))) {
    throw usage_error(fmt::format("the source \"{}\" names no engine", printable(text)),
                      hint_for_bare(text));
  }
  const std::string name = text.substr(0, colon);
  source_uri out;
  out.rest = text.substr(colon + 1);
  for (scheme& row : known_schemes()) {
    if (row.name == name) {
      out.row = std::move(row);
    }
  }
  if (out.row.name.empty()) {
    throw usage_error(fmt::format("unknown engine \"{}\" in the source \"{}\"", printable(name), printable(text)), all_syntaxes(),
                      errc::unknown_scheme);
  }
  if (out.row.open == nullptr) {
    fail_not_built(out.row.name, out.row.build_option);
  }
  if (out.rest.empty()) {
    throw usage_error(fmt::format("the source \"{}\" names no place", printable(text)), fmt::format("write {}", out.row.syntax));
  }
  return out;
}

restorer* restorers::find(std::string_view engine) {
  if (const auto found = made_.find(engine); found != made_.end()) {
    return found->second.get();
  }
  for (const scheme& row : known_schemes()) {
    if (row.name == engine && row.restorer != nullptr) {
      return made_.emplace(row.name, row.restorer(files_)).first->second.get();
    }
  }
  return nullptr;
}

restorer& restorers::need(std::string_view engine) {
  restorer* found = find(engine);
  if (found == nullptr) {
    for (const scheme& row : known_schemes()) {
      if (row.name == engine) {
        fail_not_built(engine, row.build_option);
      }
    }
    fail(errc::feature_not_built, fmt::format("find the engine \"{}\"", printable(engine)), {}, {}, {},
         "this version of Contrail does not know the engine that made the set");
  }
  return *found;
}

}  // namespace contrail::cli
