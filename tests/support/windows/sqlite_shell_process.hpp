#pragma once

#include <contrail/io/file_names.hpp>

#include <filesystem>
#include <stdexcept>
#include <string>

#include <windows.h>

/// The sqlite3 program of the SQLite tests. support/posix has the one for other systems.
namespace contrail::test {

inline constexpr bool tells_who_has_it_open = false;   ///< a refusal names the process

/// The sqlite3 program with an open database; destroying it kills it.
class shell_process {
 public:
  explicit shell_process(const std::filesystem::path& file) {
    SECURITY_ATTRIBUTES inherited{sizeof inherited, nullptr, TRUE};
    HANDLE input = nullptr;
    HANDLE output = nullptr;
    if (::CreatePipe(&input, &to_, &inherited, 0) == 0 || ::CreatePipe(&from_, &output, &inherited, 0) == 0) {
      throw std::runtime_error("pipe");
    }
    ::SetHandleInformation(to_, HANDLE_FLAG_INHERIT, 0);
    ::SetHandleInformation(from_, HANDLE_FLAG_INHERIT, 0);
    const std::wstring program = io::to_path(CONTRAIL_SQLITE_SHELL).native();
    std::wstring line = L"\"" + program + L"\" -batch -cmd \".timeout 10000\" \"" + file.native() + L"\"";
    STARTUPINFOW how{};
    how.cb = sizeof how;
    how.dwFlags = STARTF_USESTDHANDLES;
    how.hStdInput = input;
    how.hStdOutput = output;
    how.hStdError = output;
    PROCESS_INFORMATION made{};
    const BOOL started = ::CreateProcessW(nullptr, line.data(), nullptr, nullptr, TRUE, 0, nullptr, nullptr, &how, &made);
    const DWORD code = ::GetLastError();
    ::CloseHandle(input);
    ::CloseHandle(output);
    if (started == 0) {
      close_pipes();
      throw std::runtime_error("cannot start sqlite3.exe: error " + std::to_string(code));
    }
    ::CloseHandle(made.hThread);
    child_ = made.hProcess;
    id_ = made.dwProcessId;
  }
  shell_process(const shell_process&) = delete;
  shell_process& operator=(const shell_process&) = delete;
  ~shell_process() {
    kill();
    close_pipes();
  }

  void write(const std::string& text) {
    DWORD count = 0;
    if (::WriteFile(to_, text.data(), static_cast<DWORD>(text.size()), &count, nullptr) == 0 || count != text.size()) {
      throw std::runtime_error("the sqlite3 program does not listen");
    }
  }
  /// Waits for something. Empty: it has ended. In the line ends of the tests.
  std::string read() {
    std::string out;
    while (out.empty()) {
      char piece[4096];
      DWORD got = 0;
      if (::ReadFile(from_, piece, sizeof piece, &got, nullptr) == 0 || got == 0) {
        return {};
      }
      for (DWORD i = 0; i < got; ++i) {
        if (piece[i] != '\r') {
          out += piece[i];
        }
      }
    }
    return out;
  }
  void kill() {
    if (child_ != nullptr) {
      ::TerminateProcess(child_, 1);
      reap();
    }
  }
  void quit() {
    ::CloseHandle(to_);
    to_ = nullptr;
    reap();
  }
  DWORD id() const { return id_; }

 private:
  void reap() {
    if (child_ != nullptr) {
      ::WaitForSingleObject(child_, INFINITE);
      ::CloseHandle(child_);
      child_ = nullptr;
    }
  }
  void close_pipes() {
    for (HANDLE* const end : {&to_, &from_}) {
      if (*end != nullptr) {
        ::CloseHandle(*end);
        *end = nullptr;
      }
    }
  }
  HANDLE child_ = nullptr;
  HANDLE to_ = nullptr;
  HANDLE from_ = nullptr;
  DWORD id_ = 0;
};

}  // namespace contrail::test
