#include "cli/bank_process.hpp"

#include <cerrno>
#include <new>
#include <stdexcept>

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace contrail::bank {

namespace {

class forked_writers final : public writers_process {
 public:
  forked_writers(const std::filesystem::path& file, const writer_options& options) {
    void* const memory = ::mmap(nullptr, sizeof(writers_state), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
      throw std::runtime_error("no shared memory");
    }
    state_ = new (memory) writers_state;
    process_ = ::fork();
    if (process_ < 0) {
      ::munmap(memory, sizeof(writers_state));
      throw std::runtime_error("cannot start a process");
    }
    if (process_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::signal(SIGINT, SIG_IGN);   // the terminal's is meant for the parent, which ends us
      ::signal(SIGTERM, SIG_DFL);
      ::_exit(run_writers(*state_, file, options));
    }
  }
  ~forked_writers() override {
    kill();
    ::munmap(state_, sizeof(writers_state));
  }
  forked_writers(const forked_writers&) = delete;
  forked_writers& operator=(const forked_writers&) = delete;

  writers_state& state() const noexcept override { return *state_; }
  void wait() noexcept override {
    int status = 0;
    while (process_ > 0 && ::waitpid(process_, &status, 0) < 0 && errno == EINTR) {
    }
    process_ = -1;
  }
  void kill() noexcept override {
    if (process_ > 0) {
      ::kill(process_, SIGKILL);
      wait();
    }
  }

 private:
  writers_state* state_ = nullptr;
  ::pid_t process_ = -1;
};

}  // namespace

std::unique_ptr<writers_process> start_writers(const std::filesystem::path& file, const writer_options& options) {
  return std::make_unique<forked_writers>(file, options);
}

std::optional<int> serve_writers() { return {}; }

}  // namespace contrail::bank
