// exchange make REPOSITORY SEED [NAME...]         backs up what follows from SEED, and files with these names
// exchange check REPOSITORY SEED INTO [NAME...]   verifies the one set, restores it, and compares every name and byte with what was backed up
// Exit status: 0 all is right, 1 something is not, 2 wrong usage.
#include "exchange/engine.hpp"

#include <contrail/backup.hpp>
#include <contrail/restore.hpp>
#include <contrail/sinks/directory.hpp>
#include <contrail/verify.hpp>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <stdexcept>

namespace {

template <typename T>
T run(asio::io_context& context, asio::awaitable<T> work) {
  std::exception_ptr failed;
  std::optional<T> result;
  asio::co_spawn(context, std::move(work), [&](std::exception_ptr e, T value) {
    failed = std::move(e);
    result.emplace(std::move(value));
  });
  context.run();
  context.restart();
  if (failed) std::rethrow_exception(failed);
  return std::move(result.value());
}

void make(const std::filesystem::path& place, std::vector<exchange::file> all) {
  std::filesystem::path pages = place;
  pages += ".pages";
  for (const exchange::file& f : all) {
    if (!f.pages) continue;
    std::ofstream out(pages, std::ios::binary);
    out.write(f.content.data(), static_cast<std::streamsize>(f.content.size()));
    if (!out.flush()) throw std::runtime_error("cannot write " + pages.string());
  }
  asio::io_context context;
  const contrail::io::file_system files(context.get_executor());
  exchange::engine engine(files, pages, std::move(all));
  contrail::directory_repository repository(files, place);
  const contrail::backup_report report = run(context, contrail::backup(engine, repository));
  std::filesystem::remove(pages);
  std::printf("made set %s: %llu files, %llu bytes\n", report.set.c_str(), static_cast<unsigned long long>(report.files),
              static_cast<unsigned long long>(report.bytes));
}

asio::awaitable<std::string> read_whole(contrail::io::file_system fs, std::filesystem::path path) {
  contrail::io::open_options how;
  contrail::io::random_access_file file = co_await fs.async_open(path, how, asio::use_awaitable);
  std::string out(file.facts().bytes, '\0');
  for (std::size_t at = 0; at < out.size();) {
    const asio::mutable_buffer rest(out.data() + at, out.size() - at);
    const std::size_t n = co_await file.async_read_some_at(at, rest, asio::use_awaitable);
    if (n == 0) throw std::runtime_error("ends early: " + path.string());
    at += n;
  }
  co_return out;
}

/// What stands below a directory, by name; directories have a '/' at their end. By the library's own calls, as the standard's do not reach
/// long paths on Windows; both_ways.sh looks with other eyes.
asio::awaitable<std::map<std::string, std::string>> content_of(contrail::io::file_system fs, std::filesystem::path top) {
  std::map<std::string, std::string> out;
  std::vector<std::filesystem::path> todo(1);
  while (!todo.empty()) {
    const std::filesystem::path below = std::move(todo.back());
    todo.pop_back();
    const std::vector<contrail::io::entry> found = co_await fs.async_list(top / below, asio::use_awaitable);
    for (const contrail::io::entry& e : found) {
      const std::filesystem::path path = below / e.name;
      const std::string name = path.generic_string();
      if (e.type == contrail::io::entry_type::directory) {
        out[name + "/"] = {};
        todo.push_back(path);
        continue;
      }
      std::string content = co_await read_whole(fs, top / path);
      out[name] = std::move(content);
    }
  }
  co_return out;
}

void compare(const std::vector<exchange::file>& expected, std::map<std::string, std::string> found) {
  for (const exchange::file& f : expected) {
    for (std::size_t slash = f.name.find('/'); slash != std::string::npos; slash = f.name.find('/', slash + 1)) {
      found.erase(f.name.substr(0, slash + 1));
    }
  }
  for (const exchange::file& f : expected) {
    const auto at = found.find(f.name);
    if (at == found.end()) throw std::runtime_error("not restored: " + f.name);
    if (at->second != f.content) throw std::runtime_error("other bytes: " + f.name);
    found.erase(at);
  }
  if (!found.empty()) throw std::runtime_error("restored, but not of the set: " + found.begin()->first);
}

void check(const std::filesystem::path& place, const std::vector<exchange::file>& expected, const std::filesystem::path& into) {
  asio::io_context context;
  const contrail::io::file_system files(context.get_executor());
  contrail::directory_repository repository(files, place);
  const contrail::verify_report verified = run(context, contrail::verify(repository));
  if (verified.sets.size() != 1) throw std::runtime_error("expected one set, found " + std::to_string(verified.sets.size()));
  for (const contrail::file_damage& d : verified.sets[0].damage) throw std::runtime_error("damage in " + d.file + ": " + d.what);
  exchange::restorer restorer;
  const contrail::restore_report report = run(context, contrail::restore(repository, restorer, into));
  if (report.files != expected.size()) throw std::runtime_error("restored " + std::to_string(report.files) + " files");
  compare(expected, run(context, content_of(files, into)));
  std::printf("set %s is right: %llu files, %llu bytes\n", report.set.c_str(), static_cast<unsigned long long>(report.files),
              static_cast<unsigned long long>(report.bytes));
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (!(what == "make" && argc >= 4) && !(what == "check" && argc >= 5)) {
    std::fputs("exchange make REPOSITORY SEED [NAME...]\nexchange check REPOSITORY SEED INTO [NAME...]\n", stderr);
    return 2;
  }
  try {
    std::vector<exchange::file> all = exchange::files_of(std::strtoull(argv[3], nullptr, 10));
    for (int i = what == "make" ? 4 : 5; i < argc; ++i) all.emplace_back(argv[i], argv[i]);
    if (what == "make") {
      make(argv[2], std::move(all));
    } else {
      check(argv[2], all, argv[4]);
    }
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "exchange: %s\n", e.what());
    return 1;
  }
}
