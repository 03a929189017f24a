#include "cli/bank_process.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include <windows.h>

namespace contrail::bank {

namespace {

/// Its value names the memory that the process which started this one shares with it.
constexpr const wchar_t* variable = L"CONTRAIL_BANK_WRITERS";

class handle {
 public:
  explicit handle(HANDLE native) noexcept : native_(native) {}
  handle(const handle&) = delete;
  handle& operator=(const handle&) = delete;
  ~handle() {
    if (native_ != nullptr) {
      ::CloseHandle(native_);
    }
  }
  HANDLE get() const noexcept { return native_; }

 private:
  HANDLE native_;
};

/// What the child has to know, and the state.
struct shared_memory {
  writers_state state;
  writer_options options;
  std::array<wchar_t, 1024> file{};
};

[[noreturn]] void give_up(const char* what) { throw std::runtime_error(std::string(what) + ": error " + std::to_string(::GetLastError())); }

std::wstring own_program() {
  std::wstring out(32768, L'\0');
  const DWORD length = ::GetModuleFileNameW(nullptr, out.data(), static_cast<DWORD>(out.size()));
  if (length == 0 || length == out.size()) {
    give_up("the program's own name");
  }
  out.resize(length);
  return out;
}

std::wstring new_name() {
  static std::atomic<unsigned> count{0};
  return L"Local\\contrail-bank-" + std::to_wstring(::GetCurrentProcessId()) + L"-" + std::to_wstring(++count);
}

void* map(HANDLE memory) noexcept { return ::MapViewOfFile(memory, FILE_MAP_ALL_ACCESS, 0, 0, sizeof(shared_memory)); }

class started_writers final : public writers_process {
 public:
  started_writers(const std::filesystem::path& file, const writer_options& options)
      : name_(new_name()),
        memory_(::CreateFileMappingW(INVALID_HANDLE_VALUE, nullptr, PAGE_READWRITE, 0, sizeof(shared_memory), name_.c_str())),
        job_(::CreateJobObjectW(nullptr, nullptr)) {
    void* const view = memory_.get() != nullptr ? map(memory_.get()) : nullptr;
    if (view == nullptr) {
      give_up("shared memory");
    }
    shared_ = new (view) shared_memory;
    shared_->options = options;
    const std::wstring path = std::filesystem::absolute(file).native();
    try {
      if (path.size() >= shared_->file.size()) {
        throw std::runtime_error("the name of the database is too long");
      }
      std::copy(path.begin(), path.end(), shared_->file.begin());
      start();
    } catch (...) {
      ::UnmapViewOfFile(shared_);
      throw;
    }
  }
  ~started_writers() override {
    kill();
    ::UnmapViewOfFile(shared_);
  }
  started_writers(const started_writers&) = delete;
  started_writers& operator=(const started_writers&) = delete;

  writers_state& state() const noexcept override { return shared_->state; }
  void wait() noexcept override {
    if (process_ != nullptr) {
      ::WaitForSingleObject(process_, INFINITE);
      ::CloseHandle(process_);
      process_ = nullptr;
    }
  }
  void kill() noexcept override {
    if (process_ != nullptr) {
      ::TerminateProcess(process_, 1);
      wait();
    }
  }

 private:
  void start() {
    // The writers end with this process, however it ends.
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits{};
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
    if (job_.get() == nullptr || ::SetInformationJobObject(job_.get(), JobObjectExtendedLimitInformation, &limits, sizeof limits) == 0) {
      give_up("a job");
    }
    const std::wstring program = own_program();
    std::wstring line = L"\"" + program + L"\"";
    STARTUPINFOW how{};
    how.cb = sizeof how;
    PROCESS_INFORMATION made{};
    // Ctrl+C is meant for the parent, which ends them.
    ::SetEnvironmentVariableW(variable, name_.c_str());
    const BOOL started = ::CreateProcessW(program.c_str(), line.data(), nullptr, nullptr, FALSE, CREATE_NEW_PROCESS_GROUP | CREATE_SUSPENDED,
                                          nullptr, nullptr, &how, &made);
    ::SetEnvironmentVariableW(variable, nullptr);
    if (started == 0) {
      give_up("cannot start a process");
    }
    process_ = made.hProcess;
    const handle thread(made.hThread);
    if (::AssignProcessToJobObject(job_.get(), process_) == 0 || ::ResumeThread(thread.get()) == static_cast<DWORD>(-1)) {
      kill();
      give_up("cannot start a process");
    }
  }

  std::wstring name_;
  handle memory_;
  handle job_;
  shared_memory* shared_ = nullptr;
  HANDLE process_ = nullptr;
};

}  // namespace

std::unique_ptr<writers_process> start_writers(const std::filesystem::path& file, const writer_options& options) {
  return std::make_unique<started_writers>(file, options);
}

std::optional<int> serve_writers() {
  std::array<wchar_t, 128> name{};
  const DWORD length = ::GetEnvironmentVariableW(variable, name.data(), static_cast<DWORD>(name.size()));
  if (length == 0 || length >= name.size()) {
    return {};
  }
  const handle memory(::OpenFileMappingW(FILE_MAP_ALL_ACCESS, FALSE, name.data()));
  void* const view = memory.get() != nullptr ? map(memory.get()) : nullptr;
  if (view == nullptr) {
    return 1;   // who started this has ended already
  }
  auto* const shared = static_cast<shared_memory*>(view);
  return run_writers(shared->state, std::filesystem::path(shared->file.data()), shared->options);
}

}  // namespace contrail::bank
