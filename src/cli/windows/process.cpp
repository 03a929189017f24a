#include "cli/process.hpp"

#include "cli/failure.hpp"

#include <contrail/error.hpp>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <memory>
#include <random>
#include <stdexcept>
#include <system_error>

#include <fcntl.h>
#include <io.h>
#include <windows.h>

#include <shellapi.h>

namespace contrail::cli::process {

namespace {

bool without_stdout = false;
bool escapes_known = false;

// What the console was like; it belongs to the shell, which goes on with it.
UINT code_page_before = 0;
DWORD error_mode_before = 0;

HANDLE error_handle() noexcept { return ::GetStdHandle(STD_ERROR_HANDLE); }

bool is_console(HANDLE handle) noexcept {
  DWORD mode = 0;
  return handle != nullptr && handle != INVALID_HANDLE_VALUE && ::GetConsoleMode(handle, &mode) != 0;
}

void give_console_back() {
  if (code_page_before != 0) {
    ::SetConsoleOutputCP(code_page_before);
  }
  if (escapes_known) {
    ::SetConsoleMode(error_handle(), error_mode_before);
  }
}

void prepare_console() {
  const bool errors_shown = is_console(error_handle());
  if (!errors_shown && !is_console(::GetStdHandle(STD_OUTPUT_HANDLE))) {
    return;
  }
  const UINT before = ::GetConsoleOutputCP();
  if (before != CP_UTF8 && ::SetConsoleOutputCP(CP_UTF8) != 0) {
    code_page_before = before;
  }
  if (errors_shown && ::GetConsoleMode(error_handle(), &error_mode_before) != 0) {
    escapes_known = ::SetConsoleMode(error_handle(), error_mode_before | ENABLE_PROCESSED_OUTPUT | ENABLE_VIRTUAL_TERMINAL_PROCESSING) != 0;
  }
  std::atexit(&give_console_back);
}

/// Until the program listens: nothing has begun that would have to be cleaned up.
void end_at_once(int signal) { std::_Exit(exit_status::signal_base + signal); }

/// The system calls this on a thread of its own. Ctrl+C is the C library's, which makes SIGINT of it.
BOOL WINAPI on_console_event(DWORD what) {
  switch (what) {
    case CTRL_BREAK_EVENT:
      std::raise(SIGBREAK);
      return TRUE;
    case CTRL_CLOSE_EVENT:
    case CTRL_SHUTDOWN_EVENT:
      // The process is ended as soon as this returns, and some seconds after the event in any case: what is cleaned up by then decides whether
      // an unfinished set has been removed already or is left, unlisted, to the next backup. The program's end takes this thread along.
      std::raise(SIGTERM);
      ::Sleep(INFINITE);
      return TRUE;
    case CTRL_LOGOFF_EVENT:
      return TRUE;   // told to services alone, of any user: the work goes on
    default:
      return FALSE;
  }
}

void listen_to_console() {
  // The C library registers its own handler with these, which would take every event but Ctrl+C for Ctrl+Break and return at once. The last
  // one registered is asked first.
  for (const int signal : {SIGINT, SIGTERM, SIGBREAK}) {
    std::signal(signal, &end_at_once);
  }
  ::SetConsoleCtrlHandler(&on_console_event, TRUE);
}

std::string to_utf8(const wchar_t* text) {
  const int units = static_cast<int>(std::wcslen(text));
  if (units == 0) {
    return {};
  }
  const int bytes = ::WideCharToMultiByte(CP_UTF8, WC_ERR_INVALID_CHARS, text, units, nullptr, 0, nullptr, nullptr);
  std::string out(static_cast<std::size_t>(bytes > 0 ? bytes : 0), '\0');
  if (bytes <= 0 || ::WideCharToMultiByte(CP_UTF8, WC_ERR_INVALID_CHARS, text, units, out.data(), bytes, nullptr, nullptr) != bytes) {
    throw std::runtime_error("an argument is no UTF-16, and can name no file here");
  }
  return out;
}

}  // namespace

// A handle that is closed is nobody's: what is opened later does not become standard output here.
void prepare() {
  const HANDLE out = ::GetStdHandle(STD_OUTPUT_HANDLE);
  without_stdout = out == nullptr || out == INVALID_HANDLE_VALUE || ::_fileno(stdout) < 0;
  for (std::FILE* stream : {stdout, stderr}) {
    if (::_fileno(stream) >= 0) {
      ::_setmode(::_fileno(stream), _O_BINARY);
    }
  }
  // A drive without a disk is an error, not a window that waits for somebody.
  ::SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOOPENFILEERRORBOX);
  listen_to_console();
  prepare_console();
}

bool stdout_was_closed() noexcept { return without_stdout; }

std::vector<std::string> words(int, char**) {
  int count = 0;
  const std::unique_ptr<LPWSTR, decltype(&::LocalFree)> all(::CommandLineToArgvW(::GetCommandLineW(), &count), &::LocalFree);
  if (all == nullptr) {
    throw std::runtime_error("the command line cannot be read");
  }
  std::vector<std::string> out;
  for (int i = 1; i < count; ++i) {
    out.push_back(to_utf8(all.get()[i]));
  }
  return out;
}

std::filesystem::path make_directory(const std::filesystem::path& base, const std::string& name, const std::string& operation) {
  std::random_device random;
  std::error_code ec;
  for (int tries = 0; tries < 100; ++tries) {
    const std::filesystem::path out = base / (name + std::to_string(::GetCurrentProcessId()) + "-" + std::to_string(random()));
    if (::CreateDirectoryW(out.c_str(), nullptr) != 0) {
      return out;
    }
    ec.assign(static_cast<int>(::GetLastError()), std::system_category());
    if (ec.value() != ERROR_ALREADY_EXISTS) {
      break;
    }
  }
  fail(ec, operation, base.string());
}

std::size_t terminal_columns() noexcept {
  CONSOLE_SCREEN_BUFFER_INFO size{};
  if (::GetConsoleScreenBufferInfo(error_handle(), &size) != 0 && size.srWindow.Right >= size.srWindow.Left) {
    return static_cast<std::size_t>(size.srWindow.Right - size.srWindow.Left + 1);
  }
  return 80;
}

bool stderr_is_terminal() noexcept { return escapes_known; }

// Ctrl+C; the console's window being closed, or the system shut down (see on_console_event); Ctrl+Break.
std::vector<int> stop_signals() { return {SIGINT, SIGTERM, SIGBREAK}; }

std::vector<int> hangup_signals() { return {}; }

std::string signal_name(int signal) {
  switch (signal) {
    case SIGINT:
      return "SIGINT";
    case SIGTERM:
      return "SIGTERM";
    case SIGBREAK:
      return "SIGBREAK";
    default:
      return "signal " + std::to_string(signal);
  }
}

}  // namespace contrail::cli::process
