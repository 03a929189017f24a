#include "cli/process.hpp"

#include "cli/failure.hpp"

#include <contrail/error.hpp>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <system_error>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace contrail::cli::process {

namespace {

bool without_stdout = false;

}  // namespace

void prepare() {
  for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) != -1 || errno != EBADF) {
      continue;
    }
    without_stdout = without_stdout || descriptor == STDOUT_FILENO;
    // The lowest free number is the one that is closed.
    const int opened = ::open("/dev/null", descriptor == STDIN_FILENO ? O_RDONLY : O_WRONLY);
    if (opened != descriptor) {
      std::_Exit(exit_status::failed);
    }
  }
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);   // a limit on the size of files is an error of the write, and is cleaned up after
}

bool stdout_was_closed() noexcept { return without_stdout; }

std::vector<std::string> words(int argc, char** argv) { return std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc); }

std::filesystem::path make_directory(const std::filesystem::path& base, const std::string& name, const std::string& operation) {
  std::string pattern = (base / (name + "XXXXXX")).string();
  if (::mkdtemp(pattern.data()) == nullptr) {
    fail(std::error_code(errno, std::system_category()), operation, pattern);
  }
  return pattern;
}

std::size_t terminal_columns() noexcept {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    return size.ws_col;
  }
  return 80;
}

bool stderr_is_terminal() noexcept {
  const char* kind = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) == 1 && (kind == nullptr || std::string_view(kind) != "dumb");
}

std::vector<int> stop_signals() { return {SIGINT, SIGTERM}; }

std::vector<int> hangup_signals() {
  if (std::signal(SIGHUP, SIG_IGN) == SIG_IGN) {
    return {};
  }
  return {SIGHUP};
}

std::string signal_name(int signal) {
  switch (signal) {
    case SIGINT:
      return "SIGINT";
    case SIGTERM:
      return "SIGTERM";
    case SIGHUP:
      return "SIGHUP";
    default:
      return "signal " + std::to_string(signal);
  }
}

}  // namespace contrail::cli::process
