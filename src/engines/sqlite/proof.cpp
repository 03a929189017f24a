#include "proof.hpp"

#include "reader.hpp"

#include <contrail/error.hpp>

#include <fmt/format.h>
#include <sqlite3.h>

#include <string>
#include <string_view>

namespace contrail::sqlite {

namespace {

struct handle {
  handle() = default;
  handle(const handle&) = delete;
  handle& operator=(const handle&) = delete;
  ~handle() { sqlite3_close_v2(db); }
  sqlite3* db = nullptr;
};

/// immutable: SQLite neither locks the file nor makes a log or an index for it, and reads the file alone.
std::string immutable_uri(const std::filesystem::path& path) {
  std::string out = "file:";
  for (const char c : for_sqlite(path)) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || std::string_view("/._-").find(c) != std::string_view::npos;
    if (plain) {
      out += c;
    } else {
      out += fmt::format("%{:02x}", byte);
    }
  }
  return out + "?immutable=1";
}

/// The first rows of a query, each a line. `rows` counts all.
struct answer {
  answer() = default;
  std::string text;
  std::uint64_t rows = 0;
};

answer ask(sqlite3* db, const char* query, const std::string& path) {
  answer out;
  const auto keep = [](void* to, int columns, char** values, char**) noexcept {
    auto* const result = static_cast<answer*>(to);
    if (++result->rows <= 3 && columns > 0) {
      try {
        result->text += (result->text.empty() ? "" : "; ") + std::string(values[0] != nullptr ? values[0] : "");
      } catch (...) {
        return 1;
      }
    }
    return 0;
  };
  const int code = sqlite3_exec(db, query, keep, &out, nullptr);
  if (code != SQLITE_OK) {
    fail_by_sqlite(linked_sqlite(), db, code, query, path);
  }
  return out;
}

}  // namespace

void prove(const std::filesystem::path& database, std::uint64_t pages) {
  const std::string path = database.string();
  handle opened;
  const int code =
      sqlite3_open_v2(immutable_uri(database).c_str(), &opened.db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, nullptr);
  if (code != SQLITE_OK) {
    fail_by_sqlite(linked_sqlite(), opened.db, code, "open the recovered database", path);
  }
  const answer count = ask(opened.db, "PRAGMA page_count", path);
  if (count.text != std::to_string(pages)) {
    fail(errc::database_corrupted, "prove the recovered database", path, {}, fmt::format("{} pages", pages), count.text + " pages");
  }
  const answer integrity = ask(opened.db, "PRAGMA integrity_check", path);
  if (integrity.rows != 1 || integrity.text != "ok") {
    fail(errc::database_corrupted, "prove the recovered database", path, {}, "integrity_check: ok",
         fmt::format("{} problems: {}", integrity.rows, integrity.text));
  }
}

}  // namespace contrail::sqlite
