#pragma once

#include "support/run.hpp"
#include "support/temp_directory.hpp"

#include <contrail/engines/sqlite.hpp>
#include <contrail/error.hpp>
#include <contrail/io/buffer_pool.hpp>
#include <contrail/io/file_names.hpp>
#include <contrail/manifest.hpp>

#include <asio/io_context.hpp>
#include <asio/use_awaitable.hpp>

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

/// Takes a backup with the engine's primitives alone, so that a test can step in between.
namespace contrail::test {

struct hand_copy {
  hand_copy() = default;
  manifest set;
  std::vector<restored_file> files;
  unsigned restarts = 0;           ///< of the log's copy
  std::uint64_t largest_cost = 0;
};

/// Called at: "begun", "page" (after the first piece of the database), "copied", "closed" (the generation), "log" (after the first piece
/// of the log), "logged", "ended". Runs on the loop.
using step_hook = std::function<void(const std::string& step)>;

inline asio::awaitable<restored_file> copy_source(pin& from, file_info file, std::filesystem::path to, step_hook hook, hand_copy& out) {
  const auto ex = co_await asio::this_coro::executor;
  io::buffer_pool pool(ex, 1, 131072);
  const io::lease buffer = co_await pool.async_acquire(asio::use_awaitable);
  for (;;) {
    std::unique_ptr<source> opened = co_await from.open(file);
    std::ofstream written(to, std::ios::binary | std::ios::trunc);
    restored_file done;
    done.name = file.name;
    done.role = file.role;
    for (;;) {
      const std::size_t got = co_await opened->read(done.bytes, buffer.buffer());
      const asio::const_buffer chunk = asio::buffer(buffer.buffer(), got);
      const std::error_code bad = opened->fold(done.bytes, chunk);
      if (bad) {
        throw std::system_error(bad);
      }
      written.write(static_cast<const char*>(chunk.data()), static_cast<std::streamsize>(got));
      if (done.bytes == 0 && got != 0) {
        hook(file.role == file_role::log ? "log" : "page");
      }
      done.bytes += got;
      out.largest_cost = std::max(out.largest_cost, from.cost().log_bytes);
      if (got < buffer.buffer().size()) {
        break;
      }
    }
    bool again = false;
    try {
      done.valid = co_await opened->finish(asio::mutable_buffer());
    } catch (const error& problem) {
      if (problem.code() != errc::source_restarted || ++out.restarts > 3) {
        throw;
      }
      again = true;
    }
    if (!again) {
      co_return done;
    }
  }
}

inline asio::awaitable<void> copy_pinned(pin& from, std::filesystem::path into, step_hook hook, hand_copy& out) {
  hook("begun");
  const std::vector<database_info> databases = co_await from.databases();
  std::unique_ptr<file_list> list = co_await from.files(databases.at(0).id);
  std::vector<file_info> batch = co_await list->next();
  restored_file file = co_await copy_source(from, batch.at(0), into / io::to_path(batch.at(0).name), hook, out);
  out.files.push_back(file);
  hook("copied");
  const log_cut cut = co_await from.close_generation();
  hook("closed");
  list = co_await from.logs(cut.copy);
  batch = co_await list->next();
  for (const file_info& log : batch) {
    file = co_await copy_source(from, log, into / io::to_path(log.name), hook, out);
    out.files.push_back(file);
  }
  hook("logged");
  out.set.engine = "sqlite";
  out.set.set = make_set_id();
  out.set.engine_state = co_await from.state();
}

inline asio::awaitable<void> copy_claimed(engine& from, std::filesystem::path into, step_hook hook, hand_copy& out) {
  std::shared_ptr<void> claim = co_await from.claim();
  begin_request request;
  std::unique_ptr<pin> pinned = co_await from.begin(std::move(request));
  std::exception_ptr failure;
  try {
    co_await copy_pinned(*pinned, into, hook, out);
  } catch (...) {
    failure = std::current_exception();
  }
  co_await pinned->end(!failure);
  pinned.reset();
  claim.reset();
  if (failure) {
    std::rethrow_exception(failure);
  }
  hook("ended");
}

/// A copy of `database` into the directory `into`, on a context of its own.
inline hand_copy copy_by_hand(const std::filesystem::path& database, const std::filesystem::path& into,
                              step_hook hook = [](const std::string&) {}, sqlite_options options = {}) {
  std::filesystem::create_directories(into);
  asio::io_context context;
  sqlite_engine from(context.get_executor(), database, options);
  hand_copy out;
  run_on(context, 1, [&] { return copy_claimed(from, into, hook, out); });
  return out;
}

/// Recovers the files of a copy in their directory.
inline std::vector<std::string> recover_by_hand(const hand_copy& copy, const std::filesystem::path& in, bool prove = true) {
  asio::io_context context;
  sqlite_restorer with(context.get_executor());
  recovery work;
  work.directory = in;
  work.chain.push_back(std::make_shared<const manifest>(copy.set));
  work.files = copy.files;
  work.prove = prove;
  std::vector<std::string> kept;
  run_on(context, 1, [&]() -> asio::awaitable<void> {
    co_await with.check_chain(work.chain);
    kept = co_await with.recover(work);
  });
  return kept;
}

/// The error of what `call` throws; success when it throws nothing.
template <typename Call>
std::error_code code_of(Call&& call, std::string* words = nullptr) {
  try {
    call();
  } catch (const std::system_error& problem) {
    if (words != nullptr) {
      *words = problem.what();
    }
    return problem.code();
  }
  return {};
}

/// What keeps others out of a database that is going to be replaced.
inline std::shared_ptr<void> hold(const std::filesystem::path& file) {
  asio::io_context context;
  sqlite_restorer with(context.get_executor());
  std::shared_ptr<void> held;
  run_on(context, 1, [&]() -> asio::awaitable<void> { held = co_await with.hold_target(file); });
  return held;
}

/// Names in a directory, sorted, in one line.
inline std::string names_in(const std::filesystem::path& directory) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  std::string out;
  for (const std::string& name : names) {
    out += (out.empty() ? "" : " ") + name;
  }
  return out;
}

}  // namespace contrail::test
