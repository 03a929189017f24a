// exchange make REPOSITORY SEED          backs up what follows from SEED
// exchange check REPOSITORY SEED INTO    verifies the one set, restores it, and compares every name and byte with what follows from SEED
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
#include <iterator>
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

void make(const std::filesystem::path& place, std::uint64_t seed) {
  std::vector<exchange::file> all = exchange::files_of(seed);
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

/// What stands below a directory, by name; directories have a '/' at their end.
std::map<std::string, std::string> content_of(const std::filesystem::path& top) {
  std::map<std::string, std::string> out;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(top)) {
    std::string name = entry.path().lexically_relative(top).generic_string();
    if (entry.is_directory()) {
      out[name + "/"];
      continue;
    }
    std::ifstream in(entry.path(), std::ios::binary);
    if (!in) throw std::runtime_error("cannot read " + name);
    out[name].assign(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  return out;
}

void compare(const std::vector<exchange::file>& expected, const std::filesystem::path& into) {
  std::map<std::string, std::string> found = content_of(into);
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

void check(const std::filesystem::path& place, std::uint64_t seed, const std::filesystem::path& into) {
  asio::io_context context;
  const contrail::io::file_system files(context.get_executor());
  contrail::directory_repository repository(files, place);
  const contrail::verify_report verified = run(context, contrail::verify(repository));
  if (verified.sets.size() != 1) throw std::runtime_error("expected one set, found " + std::to_string(verified.sets.size()));
  for (const contrail::file_damage& d : verified.sets[0].damage) throw std::runtime_error("damage in " + d.file + ": " + d.what);
  exchange::restorer restorer;
  const std::vector<exchange::file> expected = exchange::files_of(seed);
  const contrail::restore_report report = run(context, contrail::restore(repository, restorer, into));
  if (report.files != expected.size()) throw std::runtime_error("restored " + std::to_string(report.files) + " files");
  compare(expected, into);
  std::printf("set %s is right: %llu files, %llu bytes\n", report.set.c_str(), static_cast<unsigned long long>(report.files),
              static_cast<unsigned long long>(report.bytes));
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (!(what == "make" && argc == 4) && !(what == "check" && argc == 5)) {
    std::fputs("exchange make REPOSITORY SEED\nexchange check REPOSITORY SEED INTO\n", stderr);
    return 2;
  }
  try {
    const std::uint64_t seed = std::strtoull(argv[3], nullptr, 10);
    if (what == "make") {
      make(argv[2], seed);
    } else {
      check(argv[2], seed, argv[4]);
    }
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "exchange: %s\n", e.what());
    return 1;
  }
}
