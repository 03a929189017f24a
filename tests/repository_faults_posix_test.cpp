#include <contrail/sinks/directory.hpp>

#include <contrail/error.hpp>
#include "support/posix/repo_children.hpp"
#include "support/repo_place.hpp"

#include <catch2/catch.hpp>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <array>
#include <csignal>
#include <filesystem>

namespace fs = std::filesystem;
using contrail::directory_repository;
using contrail::error;

namespace {

// From now on every sync of this process, in all its threads, fails with EIO.
bool break_syncs() {
  std::array<sock_filter, 5> program{};
  program[0] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));
  program[1] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fsync, 1, 0);
  program[2] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fdatasync, 0, 1);
  program[3] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EIO);
  program[4] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  sock_fprog all{};
  all.len = static_cast<unsigned short>(program.size());
  all.filter = program.data();
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
  return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &all) == 0;
}

}  // namespace

// A limit on the size of files stands for a full disk: write() fails in the same place, and no mount is needed.
TEST_CASE("repository: no more room is told with file and offset, and nothing stays", "[repository]") {
  repo_place p;
  const bool announced = GENERATE(false, true);
  const int status = in_child([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{};
    limit.rlim_cur = limit.rlim_max = 3 << 20;
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
    asio::io_context context;
    directory_repository repo(contrail::io::file_system(context.get_executor()), p.dir / "repo");
    int result = 2;
    run_on(context, 1, [&]() -> asio::awaitable<void> {
      contrail::io::buffer_pool pool(context.get_executor(), 4, 262144);
      const contrail::set_header header = repo_header();
      auto writer = co_await repo.begin(header);
      try {
        contrail::file_info info;
        info.name = "a";
        info.bytes = announced ? 5 << 20 : 0;
        const auto id = co_await writer->open(info);
        for (std::uint64_t at = 0; at < 5 << 20; at += 262144) {
          auto data = co_await pool.async_acquire(asio::use_awaitable);
          std::memset(data.buffer().data(), 1, 262144);
          co_await writer->write(id, at, std::move(data), 262144);
        }
        contrail::file_end end;
        end.bytes = end.valid = 5 << 20;
        end.digest = repo_digest("");
        co_await writer->close(id, end);
      } catch (const error& e) {
        const bool right = e.code() == std::errc::file_too_large && e.details().offset.has_value() &&
                           // Several writes are in flight: the one that is told need not be the first behind the limit.
                           *e.details().offset >= (announced ? 0u : 3u << 20) &&
                           e.details().file.find("/a") != std::string::npos;
        result = right ? 0 : 3;
      }
      co_await writer->abort();
    });
    return result;
  });
  CHECK(status == 0);
  CHECK_FALSE(fs::exists(p.dir / "repo"));
}

TEST_CASE("repository: kill -9 in mid-write leaves what the next backup removes", "[repository]") {
  repo_place p;
  const contrail::manifest before = p.back_up(repo_small_set());
  for (const int files_before_kill : {0, 1, 3}) {
    const int status = in_child([&] {
      asio::io_context context;
      directory_repository repo(contrail::io::file_system(context.get_executor()), p.dir / "repo");
      run_on(context, 1, [&]() -> asio::awaitable<void> {
        contrail::io::buffer_pool pool(context.get_executor(), 4, 65536);
        const contrail::set_header header = repo_header();
        auto writer = co_await repo.begin(header);
        for (int i = 0; i < files_before_kill; ++i) {
          const repo_file file("f" + std::to_string(i), pattern_bytes(200000));
          co_await repo_put(*writer, pool, file);
        }
        contrail::file_info info;
        info.name = "open";
        const auto id = co_await writer->open(info);
        auto data = co_await pool.async_acquire(asio::use_awaitable);
        co_await writer->write(id, 0, std::move(data), 65536);
        ::raise(SIGKILL);
      });
      return 0;
    });
    CHECK(status == -SIGKILL);
    CHECK(p.list().size() == 1);
    CHECK(p.read("latest").size() == 2);
    std::size_t swept = 0;
    p.repo.on_swept = [&](const std::string&) { ++swept; };
    const std::error_code ec = repo_code([&] {
      run_on(p.context, 1, [&]() -> asio::awaitable<void> {
        const contrail::set_header header = repo_header();
        auto writer = co_await p.repo.begin(header);
        co_await writer->abort();
      });
    });
    CHECK_FALSE(ec);
    CHECK(swept == 1);
    CHECK(repo_names(p.dir / "repo").size() == 5);
  }
}

TEST_CASE("repository: a failed sync fails the set for good", "[repository]") {
  repo_place p;
  p.back_up(repo_small_set());
  const bool at_commit = GENERATE(false, true);
  const int status = in_child([&] {
    asio::io_context context;
    contrail::io::backend_options options;
    options.kind = contrail::io::backend_kind::threads;   // a ring's syncs are not system calls
    directory_repository repo(contrail::io::file_system(context.get_executor(), options), p.dir / "repo");
    int result = 0;
    run_on(context, 1, [&]() -> asio::awaitable<void> {
      contrail::io::buffer_pool pool(context.get_executor(), 4, 65536);
      const contrail::set_header header = repo_header();
      auto writer = co_await repo.begin(header);
      contrail::manifest m = repo_manifest();
      int said = 0;
      for (int i = 0; i < 3; ++i) {
        try {
          const repo_file file("a" + std::to_string(i), "aaa");
          if (i == 0 && !at_commit && !break_syncs()) result = 2;
          if (i == 0) co_await repo_put(*writer, pool, file);
          if (i == 0 && at_commit && !break_syncs()) result = 2;
          co_await writer->commit(m);
        } catch (const error& e) {
          if (e.code() == std::errc::io_error && !e.details().file.empty()) ++said;
        }
      }
      if (said != 3) result = 3;
      co_await writer->abort();
    });
    return result;
  });
  CHECK(status == 0);
  CHECK(p.list().size() == 1);
  CHECK(repo_names(p.dir / "repo").size() == 5);
}

TEST_CASE("repository: the destination disappears", "[repository]") {
  repo_place p;
  const bool at_commit = GENERATE(false, true);
  std::string said;
  run_on(p.context, 1, [&]() -> asio::awaitable<void> {
    contrail::io::buffer_pool pool(p.context.get_executor(), 2, 65536);
    const contrail::set_header header = repo_header();
    auto writer = co_await p.repo.begin(header);
    try {
      const repo_file file("a", "aaa");
      if (at_commit) co_await repo_put(*writer, pool, file);
      fs::remove_all(p.dir / "repo");
      if (!at_commit) co_await repo_put(*writer, pool, file);
      contrail::manifest m = repo_manifest();
      co_await writer->commit(m);
    } catch (const error& e) {
      said = e.what();
      CHECK(e.code() == std::errc::no_such_file_or_directory);
    }
    co_await writer->abort();
  });
  CAPTURE(said);
  CHECK(said.find((p.dir / "repo").string()) != std::string::npos);
  CHECK_FALSE(fs::exists(p.dir / "repo"));
}
