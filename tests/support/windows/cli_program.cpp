#include "support/cli_program.hpp"

#include "test_system.hpp"

#include <psapi.h>

#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>

namespace contrail::test {

namespace {

[[noreturn]] void give_up(const char* what) {
  throw std::system_error(static_cast<int>(::GetLastError()), std::system_category(), what);
}

/// One argument as the C library of the program takes the command line apart again.
std::wstring as_word(const std::string& argument) {
  const std::wstring text = std::filesystem::u8path(argument).wstring();
  std::wstring out = L"\"";
  std::size_t backslashes = 0;
  for (const wchar_t c : text) {
    if (c == L'"') out.append(backslashes + 1, L'\\');
    backslashes = c == L'\\' ? backslashes + 1 : 0;
    out += c;
  }
  return out.append(backslashes, L'\\') + L"\"";
}

HANDLE open_inherited(const std::filesystem::path& path) {
  SECURITY_ATTRIBUTES inherited{sizeof inherited, nullptr, TRUE};
  const HANDLE file = ::CreateFileW(path.c_str(), GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, &inherited, CREATE_ALWAYS,
                                    FILE_ATTRIBUTE_NORMAL, nullptr);
  if (file == INVALID_HANDLE_VALUE) give_up("CreateFile");
  return file;
}

/// What a program wrote, in the line ends of the tests.
std::string text_of(const std::filesystem::path& path) {
  std::string out;
  for (const char c : read_all(path)) {
    if (c != '\r') out += c;
  }
  return out;
}

}  // namespace

struct program::state {
  ~state() {
    if (process != nullptr) ::CloseHandle(process);
  }
  workspace place;
  HANDLE process = nullptr;
  std::optional<int> killed;
};

program::program(std::string path, std::vector<std::string> arguments, const launch& how) : self_(std::make_unique<state>()) {
  if (how.largest_file || how.unprivileged || how.closed_input || !how.standard_output.empty()) throw std::logic_error("not on Windows");
  std::wstring line = as_word(path);
  for (const std::string& argument : arguments) line += L" " + as_word(argument);
  // The child takes over what this process has at that moment; tests have one thread then.
  std::map<std::string, std::optional<std::string>> before;
  for (const auto& [name, value] : how.environment) {
    const char* const old = std::getenv(name.c_str());
    before[name] = old != nullptr ? std::optional<std::string>(old) : std::nullopt;
    set_variable(name.c_str(), value.c_str());
  }
  STARTUPINFOW start{};
  start.cb = sizeof start;
  start.dwFlags = STARTF_USESTDHANDLES;
  start.hStdOutput = open_inherited(self_->place / "stdout");
  start.hStdError = open_inherited(self_->place / "stderr");
  PROCESS_INFORMATION made{};
  const BOOL ok = ::CreateProcessW(nullptr, line.data(), nullptr, nullptr, TRUE, CREATE_NEW_PROCESS_GROUP, nullptr, nullptr, &start, &made);
  const DWORD code = ::GetLastError();
  ::CloseHandle(start.hStdOutput);
  ::CloseHandle(start.hStdError);
  for (const auto& [name, value] : before) set_variable(name.c_str(), value ? value->c_str() : nullptr);
  if (!ok) throw std::system_error(static_cast<int>(code), std::system_category(), "CreateProcess " + path);
  ::CloseHandle(made.hThread);
  self_->process = made.hProcess;
}

program::~program() {
  if (running()) {
    kill(9);
    ::WaitForSingleObject(self_->process, INFINITE);
  }
}

void program::kill(int signal) const {
  if (::WaitForSingleObject(self_->process, 0) == WAIT_TIMEOUT) {
    self_->killed = signal;
    ::TerminateProcess(self_->process, 1);
  }
}

void program::kill_family(int) const {
  throw std::logic_error("not on Windows");
}

bool program::family_alive() const {
  return ::WaitForSingleObject(self_->process, 0) == WAIT_TIMEOUT;
}

bool program::running() {
  return ::WaitForSingleObject(self_->process, 0) == WAIT_TIMEOUT;
}

outcome program::wait(std::chrono::seconds at_most) {
  outcome result;
  const auto limit = static_cast<DWORD>(std::chrono::duration_cast<std::chrono::milliseconds>(at_most).count());
  if (::WaitForSingleObject(self_->process, limit) == WAIT_TIMEOUT) {
    kill(9);
    ::WaitForSingleObject(self_->process, INFINITE);
    result.err = "THE PROGRAM HUNG AND WAS KILLED BY THE TEST\n";
  }
  DWORD code = 0;
  ::GetExitCodeProcess(self_->process, &code);
  if (self_->killed) {
    result.signal = *self_->killed;
  } else {
    result.exit = static_cast<int>(code);
  }
  PROCESS_MEMORY_COUNTERS memory{};
  if (::GetProcessMemoryInfo(self_->process, &memory, sizeof memory)) result.peak_bytes = memory.PeakWorkingSetSize;
  result.out = text_of(self_->place / "stdout");
  result.err += text_of(self_->place / "stderr");
  return result;
}

}  // namespace contrail::test
