#include "support/cli_program.hpp"
#include "support/posix/small_file_system.hpp"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace contrail::test {

namespace {

[[noreturn]] void give_up(const char* what) {
  throw std::system_error(errno, std::system_category(), what);
}

int memory_file(const char* name) {
  const int fd = ::memfd_create(name, MFD_CLOEXEC);
  if (fd < 0) {
    give_up("memfd_create");
  }
  return fd;
}

std::string read_memory_file(int fd) {
  std::string out;
  char piece[4096];
  off_t at = 0;
  for (;;) {
    const ssize_t n = ::pread(fd, piece, sizeof piece, at);
    if (n <= 0) {
      return out;
    }
    out.append(piece, static_cast<std::size_t>(n));
    at += n;
  }
}

/// In the child, after fork: only plain system calls, then the program.
[[noreturn]] void become(const std::string& path, char* const* arguments, char* const* environment, const launch& how, int out, int err) {
  for (int signal = 1; signal < 32; ++signal) {
    ::signal(signal, SIG_DFL);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::setpgid(0, 0);
  if (how.standard_output == "nobody") {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) == 0) {
      ::close(ends[0]);
      out = ends[1];
    }
  } else if (!how.standard_output.empty() && how.standard_output != "closed") {
    out = ::open(how.standard_output.c_str(), O_WRONLY | O_CLOEXEC);
  }
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  if (how.standard_output == "closed") {
    ::close(STDOUT_FILENO);
  }
  if (how.closed_input) {
    ::close(STDIN_FILENO);
  }
  if (how.largest_file) {
    const rlimit limit{*how.largest_file, *how.largest_file};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    // The program must see an error, not a signal that it knows nothing of.
    ::signal(SIGXFSZ, SIG_IGN);
  }
  if (how.unprivileged && (::setgroups(0, nullptr) != 0 || ::setresgid(65534, 65534, 65534) != 0 || ::setresuid(65534, 65534, 65534) != 0)) {
    ::_exit(126);
  }
  ::execve(path.c_str(), arguments, environment);
  ::_exit(127);
}

}  // namespace

struct program::state {
  ~state() {
    ::close(out);
    ::close(err);
  }
  bool reap(bool block);

  const int out = memory_file("stdout");
  const int err = memory_file("stderr");
  pid_t pid = -1;
  std::optional<int> status;
  std::uint64_t peak_bytes = 0;
};

program::program(std::string path, std::vector<std::string> arguments, const launch& how) : self_(std::make_unique<state>()) {
  std::vector<std::string> words;
  for (char** one = environ; *one != nullptr; ++one) {
    const std::string word(*one);
    if (how.environment.count(word.substr(0, word.find('='))) == 0) {
      words.push_back(word);
    }
  }
  for (const auto& [name, value] : how.environment) {
    words.push_back(name + "=" + value);
  }
  std::vector<char*> environment;
  for (std::string& word : words) {
    environment.push_back(word.data());
  }
  environment.push_back(nullptr);
  std::vector<char*> argv;
  argv.push_back(path.data());
  for (std::string& word : arguments) {
    argv.push_back(word.data());
  }
  argv.push_back(nullptr);

  // A signal that comes early must meet the program's dispositions, not the test's handlers.
  sigset_t all, before;
  ::sigfillset(&all);
  ::sigprocmask(SIG_BLOCK, &all, &before);
  self_->pid = ::fork();
  if (self_->pid == 0) {
    become(path, argv.data(), environment.data(), how, self_->out, self_->err);
  }
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  if (self_->pid < 0) {
    give_up("fork");
  }
  // Here as well: whoever comes first. It fails once the program runs, and was then done there.
  ::setpgid(self_->pid, self_->pid);
}

program::~program() {
  if (!self_->status) {
    kill(SIGKILL);
    self_->reap(true);
  }
}

void program::kill(int signal) const {
  if (!self_->status) {
    ::kill(self_->pid, signal);
  }
}

void program::kill_family(int signal) const {
  if (!self_->status) {
    ::kill(-self_->pid, signal);
  }
}

bool program::family_alive() const {
  return ::kill(-self_->pid, 0) == 0;
}

bool program::state::reap(bool block) {
  if (status) {
    return true;
  }
  int ended = 0;
  rusage used{};
  pid_t got = 0;
  do {
    got = ::wait4(pid, &ended, block ? 0 : WNOHANG, &used);
  } while (got < 0 && errno == EINTR);
  if (got == pid) {
    status = ended;
    peak_bytes = static_cast<std::uint64_t>(used.ru_maxrss) * 1024;
  }
  return status.has_value();
}

bool program::running() {
  return !self_->reap(false);
}

outcome program::wait(std::chrono::seconds at_most) {
  outcome result;
  const auto until = std::chrono::steady_clock::now() + at_most;
  while (running()) {
    if (std::chrono::steady_clock::now() > until) {
      kill(SIGKILL);
      self_->reap(true);
      result.err = "THE PROGRAM HUNG AND WAS KILLED BY THE TEST\n";
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (WIFEXITED(*self_->status)) {
    result.exit = WEXITSTATUS(*self_->status);
  } else {
    result.signal = WTERMSIG(*self_->status);
  }
  result.peak_bytes = self_->peak_bytes;
  result.out = read_memory_file(self_->out);
  result.err += read_memory_file(self_->err);
  return result;
}

small_file_system::small_file_system(std::filesystem::path at, std::uint64_t bytes) : at_(std::move(at)) {
  std::filesystem::create_directories(at_);
  mounted_ = ::mount("none", at_.c_str(), "tmpfs", 0, ("size=" + std::to_string(bytes)).c_str()) == 0;
}

small_file_system::~small_file_system() {
  if (mounted_) {
    ::umount2(at_.c_str(), MNT_DETACH);
  }
}

}  // namespace contrail::test
