#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>

/// Processes of the SQLite tests. support/windows has the program's own for Windows.
namespace contrail::test {

inline constexpr bool tells_who_has_it_open = true;   ///< a refusal names the process

/// Runs `body` in a forked child and gives its exit status; -1 when it was killed. Before the test has threads.
inline int in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child < 0) {
    throw std::runtime_error("fork");
  }
  if (child == 0) {
    int code = 99;
    try {
      code = body();
    } catch (const std::exception& problem) {
      (void)!::write(2, problem.what(), std::char_traits<char>::length(problem.what()));
      (void)!::write(2, "\n", 1);
    }
    ::_exit(code);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// The sqlite3 program with an open database; destroying it kills it.
class shell_process {
 public:
  explicit shell_process(const std::filesystem::path& file) {
    int to[2], from[2];
    if (::pipe2(to, O_CLOEXEC) != 0 || ::pipe2(from, O_CLOEXEC) != 0) {
      throw std::runtime_error("pipe");
    }
    child_ = ::fork();
    if (child_ == 0) {
      ::dup2(to[0], 0);
      ::dup2(from[1], 1);
      ::dup2(from[1], 2);
      ::execlp("sqlite3", "sqlite3", "-batch", "-cmd", ".timeout 10000", file.c_str(), static_cast<char*>(nullptr));
      ::_exit(127);
    }
    ::close(to[0]);
    ::close(from[1]);
    to_ = to[1];
    from_ = from[0];
  }
  shell_process(const shell_process&) = delete;
  shell_process& operator=(const shell_process&) = delete;
  ~shell_process() {
    kill();
    ::close(to_);
    ::close(from_);
  }

  void write(const std::string& text) {
    if (::write(to_, text.data(), text.size()) != static_cast<::ssize_t>(text.size())) {
      throw std::runtime_error("the sqlite3 program does not listen");
    }
  }
  /// Waits for something. Empty: it has ended.
  std::string read() {
    std::string piece(4096, '\0');
    const ::ssize_t got = ::read(from_, piece.data(), piece.size());
    piece.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return piece;
  }
  void kill() {
    if (child_ > 0) {
      ::kill(child_, SIGKILL);
      reap();
    }
  }
  void quit() {
    ::close(to_);
    to_ = -1;
    reap();
  }
  ::pid_t id() const { return child_; }

 private:
  void reap() {
    int status = 0;
    while (child_ > 0 && ::waitpid(child_, &status, 0) < 0 && errno == EINTR) {
    }
    child_ = -1;
  }
  ::pid_t child_ = -1;
  int to_ = -1;
  int from_ = -1;
};

}  // namespace contrail::test
