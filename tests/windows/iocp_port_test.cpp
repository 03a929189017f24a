// Real pending transfers: files always end at once under Wine, pipes do not.
#include "iocp/port.hpp"

#include "support/run.hpp"
#include "support/temp_directory.hpp"

#include <asio/error.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <string>
#include <thread>

using namespace contrail::io::detail;

namespace {

struct pipe_ends {
  unique_handle reading;
  unique_handle writing;
};

pipe_ends make_pipe() {
  static int number = 0;
  const std::wstring name = L"\\\\.\\pipe\\contrail-test-" + std::to_wstring(::GetCurrentProcessId()) + L"-" + std::to_wstring(++number);
  pipe_ends out;
  out.reading = unique_handle(::CreateNamedPipeW(name.c_str(), PIPE_ACCESS_INBOUND | FILE_FLAG_OVERLAPPED, PIPE_TYPE_BYTE | PIPE_WAIT, 1,
                                                 4096, 4096, 0, nullptr));
  REQUIRE(out.reading);
  out.writing = unique_handle(::CreateFileW(name.c_str(), GENERIC_WRITE, 0, nullptr, OPEN_EXISTING, 0, nullptr));
  REQUIRE(out.writing);
  return out;
}

struct outcome {
  int calls = 0;
  std::error_code error;
  std::size_t bytes = 0;
  auto handler() {
    return [this](std::error_code ec, std::size_t n) {
      ++calls;
      error = ec;
      bytes = n;
    };
  }
};

overlapped_transfer into(std::array<char, 16>& memory) {
  overlapped_transfer what;
  what.data = memory.data();
  what.bytes = static_cast<DWORD>(memory.size());
  return what;
}

}  // namespace

TEST_CASE("iocp_port: a pending read is told once, when its bytes come, and keeps the context at work", "[iocp_port]") {
  asio::io_context context;
  completion_port port(context.get_executor());
  pipe_ends pipe = make_pipe();
  REQUIRE_FALSE(port.adopt(as_native(pipe.reading.get())));
  std::array<char, 16> memory{};
  outcome got;
  const begun now = port.begin(as_native(pipe.reading.get()), into(memory), got.handler());
  REQUIRE_FALSE(now.error);
  REQUIRE(now.where != nullptr);
  context.poll();
  CHECK(got.calls == 0);
  CHECK_FALSE(HasOverlappedIoCompleted(now.where));
  std::thread writer([&] {
    DWORD n = 0;
    ::WriteFile(pipe.writing.get(), "12345", 5, &n, nullptr);
  });
  context.run();
  writer.join();
  CHECK(got.calls == 1);
  CHECK_FALSE(got.error);
  CHECK(got.bytes == 5);
  CHECK(std::string(memory.data(), 5) == "12345");
}

TEST_CASE("iocp_port: a cancelled read is told as aborted, the one beside it is not", "[iocp_port]") {
  asio::io_context context;
  completion_port port(context.get_executor());
  pipe_ends pipe = make_pipe();
  REQUIRE_FALSE(port.adopt(as_native(pipe.reading.get())));
  std::array<char, 16> first{};
  std::array<char, 16> second{};
  outcome one;
  outcome other;
  const begun cancelled = port.begin(as_native(pipe.reading.get()), into(first), one.handler());
  const begun kept = port.begin(as_native(pipe.reading.get()), into(second), other.handler());
  REQUIRE(cancelled.where != nullptr);
  REQUIRE(kept.where != nullptr);
  REQUIRE(::CancelIoEx(pipe.reading.get(), cancelled.where) != 0);
  DWORD n = 0;
  REQUIRE(::WriteFile(pipe.writing.get(), "xyz", 3, &n, nullptr) != 0);
  context.run();
  CHECK(one.calls == 1);
  CHECK(one.error == asio::error::operation_aborted);
  CHECK(other.calls == 1);
  CHECK_FALSE(other.error);
  CHECK(other.bytes == 3);
}

TEST_CASE("iocp_port: what the system refuses at once is returned, and no handler runs", "[iocp_port]") {
  asio::io_context context;
  completion_port port(context.get_executor());
  pipe_ends pipe = make_pipe();
  REQUIRE_FALSE(port.adopt(as_native(pipe.reading.get())));
  pipe.writing.reset();
  std::array<char, 16> memory{};
  outcome got;
  const begun now = port.begin(as_native(pipe.reading.get()), into(memory), got.handler());
  CHECK(now.where == nullptr);
  CHECK(now.error.value() == ERROR_BROKEN_PIPE);
  context.run();
  CHECK(got.calls == 0);
}

TEST_CASE("iocp_port: a file stays open and ours when Asio is done with its copy of the handle", "[iocp_port]") {
  const temp_directory dir;
  const std::wstring path = (dir / "f").native();
  unique_handle file(::CreateFileW(path.c_str(), GENERIC_READ | GENERIC_WRITE, share_all, nullptr, CREATE_NEW, FILE_FLAG_OVERLAPPED, nullptr));
  REQUIRE(file);
  asio::io_context context;
  completion_port port(context.get_executor());
  REQUIRE_FALSE(port.adopt(as_native(file.get())));
  // A second port, or the same one again, is refused: the file has one.
  CHECK(port.adopt(as_native(file.get())));
  CHECK_FALSE(port.adopt(-1));
  std::array<char, 16> memory{};
  memory.fill('a');
  overlapped_transfer write = into(memory);
  write.write = true;
  write.offset = 100;
  outcome wrote;
  REQUIRE(port.begin(as_native(file.get()), write, wrote.handler()).where != nullptr);
  context.run();
  CHECK(wrote.bytes == 16);
  context.restart();
  // Behind the end there is nothing: told as the end of the file, by the port or at once.
  overlapped_transfer read = into(memory);
  read.offset = 1000;
  outcome end;
  const begun now = port.begin(as_native(file.get()), read, end.handler());
  context.run();
  CHECK((now.where != nullptr ? end.error.value() : now.error.value()) != 0);
  if (now.where == nullptr) CHECK(now.error == asio::error::eof);
}
