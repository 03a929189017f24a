#pragma once

#include <contrail/error.hpp>
#include <contrail/restorer.hpp>
#include <contrail/sinks/directory.hpp>
#include "format/digest.hpp"
#include "support/repo_sign.hpp"
#include "support/run.hpp"
#include "support/temp_directory.hpp"

#include <asio/awaitable.hpp>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/use_awaitable.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

/// A file that a test puts into a set.
struct repo_file {
  repo_file(std::string n, std::string b, contrail::file_role r = contrail::file_role::database)
      : name(std::move(n)), bytes(std::move(b)), role(r) {}
  std::string name;
  std::string bytes;
  contrail::file_role role;
  std::uint32_t mode = 0;
  std::string owner;
};

inline contrail::file_info repo_info(const repo_file& f) {
  contrail::file_info info;
  info.name = f.name;
  info.role = f.role;
  info.bytes = f.bytes.size();
  info.mode = f.mode;
  info.owner = f.owner;
  return info;
}

inline contrail::set_header repo_header(std::string set = contrail::make_set_id()) {
  contrail::set_header h;
  h.set = std::move(set);
  h.engine = "fake";
  return h;
}

inline contrail::manifest repo_manifest() {
  contrail::manifest m;
  m.engine = "fake";
  m.engine_state = "state";
  m.page_bytes = 512;
  return m;
}

/// Copies one file into a set that is being written, in pieces of the pool's size.
inline asio::awaitable<void> repo_put(contrail::set_writer& writer, contrail::io::buffer_pool& pool, const repo_file& f) {
  const contrail::file_info info = repo_info(f);
  const contrail::file_id id = co_await writer.open(info);
  for (std::size_t at = 0; at < f.bytes.size();) {
    contrail::io::lease data = co_await pool.async_acquire(asio::use_awaitable);
    const std::size_t n = std::min(f.bytes.size() - at, data.buffer().size());
    std::memcpy(data.buffer().data(), f.bytes.data() + at, n);
    co_await writer.write(id, at, std::move(data), n);
    at += n;
  }
  contrail::file_end end;
  end.bytes = f.bytes.size();
  end.valid = f.bytes.size();
  end.digest = repo_digest(f.bytes);
  co_await writer.close(id, end);
}

/// A whole backup of these files. On failure the set is aborted.
inline asio::awaitable<contrail::manifest> repo_write(contrail::sink& to, const std::vector<repo_file>& files,
                                                      std::string set = contrail::make_set_id()) {
  const auto ex = co_await asio::this_coro::executor;
  contrail::io::buffer_pool pool(ex, 4, 4096);
  const contrail::set_header header = repo_header(std::move(set));
  std::unique_ptr<contrail::set_writer> writer = co_await to.begin(header);
  std::exception_ptr failure;
  contrail::manifest m = repo_manifest();
  try {
    for (const repo_file& f : files) co_await repo_put(*writer, pool, f);
    co_await writer->commit(m);
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    co_await writer->abort();
    std::rethrow_exception(failure);
  }
  co_return m;
}

/// The files of a set as a reader hands them out, to its proven end.
inline asio::awaitable<std::vector<repo_file>> repo_read(contrail::repository& from, std::string set, std::size_t memory = 2 << 20) {
  std::vector<repo_file> out;
  const std::unique_ptr<contrail::set_reader> reader = co_await from.open(std::move(set), memory);
  while (true) {
    const auto file = co_await reader->next_file();
    if (!file.has_value()) break;
    repo_file f(file->file.name, "", file->file.role);
    f.mode = file->file.mode;
    f.owner = file->file.owner;
    while (true) {
      const auto chunk = co_await reader->next();
      if (!chunk.has_value()) break;
      if (chunk->offset != f.bytes.size()) throw std::logic_error("a chunk out of order");
      f.bytes.append(static_cast<const char*>(chunk->data.buffer().data()), chunk->bytes);
    }
    out.push_back(std::move(f));
  }
  co_return out;
}

/// Changes the manifest of a set and makes its digest right again.
inline void repo_edit_manifest(const std::filesystem::path& set, const std::function<void(nlohmann::ordered_json&)>& edit) {
  nlohmann::ordered_json j = nlohmann::ordered_json::parse(repo_inner(read_file(set / "manifest.json")));
  edit(j);
  write_file(set / "manifest.json", repo_sign(j.dump(2)));
}

/// Replaces the list of files, and makes all digests right again.
inline void repo_set_lines(const std::filesystem::path& set, const std::string& lines) {
  write_file(set / "files.jsonl", lines);
  std::uint64_t count = 0;
  std::uint64_t bytes = 0;
  std::size_t at = 0;
  for (std::size_t end = lines.find('\n'); end != std::string::npos; at = end + 1, end = lines.find('\n', at)) {
    ++count;
    const auto line = nlohmann::json::parse(lines.substr(at, end - at), nullptr, false);
    if (line.is_object() && line.contains("size") && line["size"].is_number_unsigned()) bytes += line["size"].get<std::uint64_t>();
  }
  repo_edit_manifest(set, [&](nlohmann::ordered_json& j) {
    j["files"] = count;
    j["bytes"] = bytes;
    j["root_digest"] = repo_digest(lines);
  });
}

/// One field of every line set to something else, digests right.
inline void repo_edit_lines(const std::filesystem::path& set, const char* key, const nlohmann::ordered_json& value) {
  const std::string lines = read_file(set / "files.jsonl");
  std::string out;
  std::size_t at = 0;
  for (std::size_t end = lines.find('\n'); end != std::string::npos; at = end + 1, end = lines.find('\n', at)) {
    auto line = nlohmann::ordered_json::parse(lines.substr(at, end - at));
    line[key] = value;
    out += line.dump() + "\n";
  }
  repo_set_lines(set, out);
}

/// Every name below a directory, with directories marked by a slash; sorted.
inline std::vector<std::string> repo_names(const std::filesystem::path& top) {
  std::vector<std::string> out;
  if (!std::filesystem::exists(top)) return out;
  for (const auto& e : std::filesystem::recursive_directory_iterator(top)) {
    std::string name = e.path().lexically_relative(top).generic_string();
    if (e.is_directory() && !e.is_symlink()) name += "/";
    out.push_back(std::move(name));
  }
  std::sort(out.begin(), out.end());
  return out;
}

/// A restorer without an engine: databases are left as they are, logs are taken away. `name-log` beside a database is its companion.
class repo_restorer final : public contrail::restorer {
 public:
  std::function<void(const contrail::recovery&)> on_recover;
  std::function<void(const std::filesystem::path&)> on_hold;
  std::function<void()> on_check;
  std::function<std::vector<std::string>(std::vector<std::string>)> names;
  std::vector<std::string> held;
  int holding = 0;
  std::size_t links = 1;   ///< sets in the chain that it expects

  std::string_view engine() const noexcept override { return "fake"; }
  asio::awaitable<void> check_chain(std::vector<std::shared_ptr<const contrail::manifest>> chain) override {
    if (chain.size() != links) throw std::logic_error("chain");
    if (on_check) on_check();
    co_return;
  }
  asio::awaitable<std::vector<std::string>> recover(const contrail::recovery& work) override {
    std::vector<std::string> out;
    if (on_recover) on_recover(work);
    for (const auto& f : work.files) {
      if (f.role == contrail::file_role::log) {
        std::filesystem::remove(work.directory / f.name);
      } else {
        out.push_back(f.name);
      }
    }
    if (names) out = names(std::move(out));
    co_return out;
  }
  std::vector<std::string> companions(std::string_view file) const override {
    return std::vector<std::string>(1, std::string(file) + "-log");
  }
  asio::awaitable<std::shared_ptr<void>> hold_target(std::filesystem::path file) override {
    if (on_hold) on_hold(file);
    held.push_back(file.filename().string());
    ++holding;
    auto release = [this](void*) { --holding; };
    std::shared_ptr<void> out(static_cast<void*>(this), release);
    co_return out;
  }
};

inline std::error_code repo_code(const std::function<void()>& f) {
  try {
    f();
  } catch (const std::system_error& e) {
    return e.code();
  }
  return {};
}

/// Counts how many times a context handed out a turn; cancels a coroutine at a chosen one.
template <typename Make>
std::error_code repo_cancel_at(asio::io_context& context, std::size_t turn, bool& finished, Make make) {
  asio::cancellation_signal signal;
  std::exception_ptr failure;
  bool ended = false;
  auto done = [&](std::exception_ptr e) {
    ended = true;
    failure = std::move(e);
  };
  asio::co_spawn(asio::make_strand(context.get_executor()), make(), asio::bind_cancellation_slot(signal.slot(), std::move(done)));
  for (std::size_t i = 0; i < turn && !ended; ++i) context.run_one();
  const bool before_end = !ended;
  if (!ended) {
    // On the strand's own thread: there is only this one.
    signal.emit(asio::cancellation_type::terminal);
  }
  context.run();
  context.restart();
  if (!ended) throw std::logic_error("the coroutine did not come to its end");
  finished = !before_end;
  if (!failure) return {};
  try {
    std::rethrow_exception(failure);
  } catch (const std::system_error& e) {
    return e.code();
  }
}
