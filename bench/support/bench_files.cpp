// Sets of very many files, from an engine that makes them up: bench_files backup|verify|restore REPOSITORY FILES BYTES_EACH MEMORY [INTO]
// Prints what was done as JSON, with the largest resident memory of this process. The engine itself holds nothing per file.
#include <contrail/backup.hpp>
#include <contrail/engine.hpp>
#include <contrail/error.hpp>
#include <contrail/io/file_system.hpp>
#include <contrail/restore.hpp>
#include <contrail/sinks/directory.hpp>
#include <contrail/verify.hpp>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace contrail;

struct shape {
  std::uint64_t files = 0;
  std::uint64_t bytes_each = 0;
};

std::string name_of(std::uint64_t number) {
  char name[64];
  std::snprintf(name, sizeof name, "data/%03llu/file-%07llu", static_cast<unsigned long long>(number / 1000),
                static_cast<unsigned long long>(number));
  return name;
}

class made_up_list final : public file_list {
 public:
  explicit made_up_list(shape s) : shape_(s) {}
  asio::awaitable<std::vector<file_info>> next() override {
    std::vector<file_info> out;
    for (; out.size() < 64 && at_ < shape_.files; ++at_) {
      file_info f;
      f.name = name_of(at_);
      f.bytes = shape_.bytes_each;
      out.push_back(std::move(f));
    }
    co_return out;
  }

 private:
  shape shape_;
  std::uint64_t at_ = 0;
};

class made_up_source final : public source {
 public:
  made_up_source(std::uint64_t bytes, char fill) : bytes_(bytes), fill_(fill) {}
  std::uint64_t bytes() const noexcept override { return bytes_; }
  asio::awaitable<std::size_t> read(std::uint64_t offset, asio::mutable_buffer into) override {
    const std::size_t n = static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), bytes_ - std::min(bytes_, offset)));
    std::memset(into.data(), fill_, n);
    co_return n;
  }
  asio::awaitable<std::uint64_t> finish(asio::mutable_buffer) override { co_return bytes_; }

 private:
  std::uint64_t bytes_;
  char fill_;
};

class made_up_pin final : public pin {
 public:
  explicit made_up_pin(shape s) : shape_(s) {}
  mark at() const noexcept override { return {}; }
  pin_cost cost() const noexcept override { return {}; }
  asio::awaitable<std::vector<database_info>> databases() override {
    std::vector<database_info> out(1);
    out.front().name = out.front().restore_name = "data";
    co_return out;
  }
  asio::awaitable<std::unique_ptr<file_list>> files(database_id) override { co_return std::make_unique<made_up_list>(shape_); }
  asio::awaitable<log_cut> close_generation() override { co_return log_cut{}; }
  asio::awaitable<std::unique_ptr<file_list>> logs(log_range) override {
    const shape none;
    co_return std::make_unique<made_up_list>(none);
  }
  asio::awaitable<std::unique_ptr<source>> open(const file_info& file) override {
    co_return std::make_unique<made_up_source>(file.bytes, file.name.back());
  }
  asio::awaitable<void> delete_logs(log_range) override { co_return; }
  asio::awaitable<void> record(const outcome&) override { co_return; }
  asio::awaitable<std::string> state() override { co_return std::string("made up"); }
  asio::awaitable<void> end(bool) override { co_return; }

 private:
  shape shape_;
};

class made_up_engine final : public engine {
 public:
  made_up_engine(asio::any_io_executor ex, shape s) : ex_(std::move(ex)), shape_(s) {
    traits_.name = "made-up";
    traits_.version = "1";
  }
  asio::any_io_executor get_executor() const noexcept override { return ex_; }
  const engine_traits& traits() const noexcept override { return traits_; }
  std::error_code status() const noexcept override { return {}; }
  asio::awaitable<std::shared_ptr<void>> claim() override { co_return std::make_shared<int>(0); }
  asio::awaitable<std::unique_ptr<pin>> begin(begin_request) override { co_return std::make_unique<made_up_pin>(shape_); }

 private:
  asio::any_io_executor ex_;
  shape shape_;
  engine_traits traits_;
};

/// Nothing to recover; the proof is that the first and the last file are there.
class made_up_restorer final : public restorer {
 public:
  std::string_view engine() const noexcept override { return "made-up"; }
  asio::awaitable<void> check_chain(std::vector<std::shared_ptr<const manifest>>) override { co_return; }
  asio::awaitable<std::vector<std::string>> recover(const recovery& work) override {
    std::vector<std::string> out;
    out.reserve(work.files.size());
    for (const restored_file& f : work.files) out.push_back(f.name);
    co_return out;
  }
  std::vector<std::string> companions(std::string_view) const override { return {}; }
  asio::awaitable<std::shared_ptr<void>> hold_target(std::filesystem::path) override { co_return std::make_shared<int>(0); }
};

class only_one final : public restorer_registry {
 public:
  explicit only_one(restorer& one) : one_(one) {}
  restorer* find(std::string_view) override { return &one_; }

 private:
  restorer& one_;
};

template <typename T>
T run(asio::io_context& context, asio::awaitable<T> work) {
  std::exception_ptr failed;
  std::optional<T> result;
  asio::co_spawn(context, std::move(work), [&](std::exception_ptr e, T value) {
    failed = e;
    result.emplace(std::move(value));
  });
  context.run();
  if (failed) std::rethrow_exception(failed);
  return std::move(*result);
}

/// VmHWM, KiB.
std::uint64_t peak_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmHWM:", 0) == 0) return std::stoull(line.substr(6));
  }
  return 0;
}

int go(const std::vector<std::string>& words) {
  asio::io_context context;
  const io::file_system files(context.get_executor());
  shape what;
  what.files = std::stoull(words[2]);
  what.bytes_each = std::stoull(words[3]);
  const std::size_t memory = std::stoull(words[4]);
  directory_repository repository(files, words[1]);
  made_up_restorer with;
  std::uint64_t done = 0;
  if (words[0] == "backup") {
    made_up_engine from(context.get_executor(), what);
    backup_options how;
    how.memory = memory;
    const backup_report made = run(context, backup(from, repository, how));
    done = made.files;
  } else if (words[0] == "verify") {
    only_one provers(with);
    const std::filesystem::path scratch = std::filesystem::path(words[1]).parent_path();
    verify_options how;
    how.memory = memory;
    how.scratch = &scratch;
    how.files = &files;
    const verify_report found = run(context, verify(repository, &provers, how));
    done = found.sets.size() == 1 && found.sets.front().damage.empty() && found.sets.front().proven ? what.files : 0;
  } else {
    restore_options how;
    how.memory = memory;
    how.files = &files;
    const restore_report back = run(context, restore(repository, with, words.at(5), how));
    done = back.files;
  }
  std::printf("{\"files\": %llu, \"peak_kib\": %llu}\n", static_cast<unsigned long long>(done), static_cast<unsigned long long>(peak_kib()));
  return done == what.files ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() < 5) {
    std::fputs("bench_files backup|verify|restore REPOSITORY FILES BYTES_EACH MEMORY [INTO]\n", stderr);
    return 2;
  }
  try {
    return go(words);
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "bench_files: %s\n", problem.what());
    return 1;
  }
}
