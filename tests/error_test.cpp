#include <contrail/error.hpp>

#include "failure.hpp"
#include "test_system.hpp"

#include <asio/error.hpp>
#include <catch2/catch.hpp>

#include <cerrno>
#include <new>
#include <set>
#include <string>

using contrail::errc;

TEST_CASE("error: numbers, names and messages", "[error]") {
  std::set<std::string> names, messages;
  int known = 0;
  for (int value = -20100; value < 0; ++value) {
    const std::error_code ec(value, contrail::category());
    const std::string_view name = contrail::name_of(ec);
    if (name.empty()) {
      CHECK(ec.message() == "JET error " + std::to_string(value));
      continue;
    }
    ++known;
    CHECK(names.insert(std::string(name)).second);
    CHECK(messages.insert(ec.message()).second);
    CHECK(ec.message().find('\n') == std::string::npos);
    CHECK(ec.message().back() != '.');
    for (const char c : name) CHECK((c == '_' || (c >= 'a' && c <= 'z')));
  }
  CHECK(known == 95);
  CHECK(std::string(contrail::category().name()) == "contrail");
  CHECK(contrail::name_of(make_error_code(errc::backup_in_progress)) == "backup_in_progress");
  CHECK(contrail::name_of({}).empty());
  CHECK(contrail::name_of(system_code(std::errc::no_space_on_device)) == "ENOSPC");
  CHECK(contrail::name_of({ENOSPC, std::generic_category()}) == "ENOSPC");
  CHECK(contrail::name_of({9999, std::system_category()}).empty());
}

TEST_CASE("error: JET numbers both ways", "[error]") {
  CHECK(contrail::to_jet({}) == 0);
  CHECK_FALSE(contrail::from_jet(0));
  for (const errc e : {errc::backup_in_progress, errc::read_verify_failure, errc::disk_full, errc::after_initialization}) {
    CHECK(contrail::to_jet(e) == static_cast<int>(e));
    CHECK(contrail::from_jet(static_cast<int>(e)) == e);
  }
  CHECK(contrail::from_jet(-4711).value() == -4711);
  CHECK(contrail::to_jet(contrail::from_jet(-4711)) == -4711);
  CHECK(contrail::from_jet(1006).value() == 1006);   // a warning stays what it is

  SECTION("Contrail's own numbers become the nearest, never 0 and never one that a C program cannot know") {
    for (int value = -20100; value <= -20001; ++value) {
      const std::error_code ec(value, contrail::category());
      CHECK(contrail::to_jet(ec) < 0);
      CHECK(contrail::to_jet(ec) > -20000);
    }
    CHECK(contrail::to_jet(errc::pin_too_old) == -801);
    CHECK(contrail::to_jet(errc::pin_too_large) == -801);
    CHECK(contrail::to_jet(errc::set_damaged) == -1021);
  }
  SECTION("system errors") {
    CHECK(contrail::to_jet(system_code(std::errc::no_such_file_or_directory)) == -1811);
    CHECK(contrail::to_jet({ENOSPC, std::generic_category()}) == -1808);
    CHECK(contrail::to_jet(system_code(std::errc::permission_denied)) == -1032);
    CHECK(contrail::to_jet(system_code(std::errc::io_error)) == -1022);
    CHECK(contrail::to_jet({9999, std::system_category()}) == -1022);
    CHECK(contrail::to_jet(asio::error::eof) < 0);
    CHECK(contrail::to_jet(asio::error::operation_aborted) == -800);
  }
}

TEST_CASE("error: text and fields", "[error]") {
  try {
    contrail::fail(errc::read_verify_failure, "read page 7", "bank.db", 28672, "a good checksum", "a damaged page");
  } catch (const contrail::error& e) {
    CHECK(e.code() == errc::read_verify_failure);
    CHECK(e.details().operation == "read page 7");
    CHECK(e.details().file == "bank.db");
    CHECK(e.details().offset == std::uint64_t{28672});
    CHECK(std::string(e.what()) ==
          "read page 7: bank.db at offset 28672: expected a good checksum, found a damaged page: page checksum does not match");
  }
  try {
    contrail::fail(errc::invalid_backup, "begin backup", {}, {}, {}, "full backups only");
  } catch (const std::system_error& e) {
    CHECK(std::string(e.what()) == "begin backup: full backups only: this kind of backup cannot be had from this engine");
  }
  try {
    contrail::fail(system_code(std::errc::no_space_on_device), "write file", "a");
  } catch (const std::system_error& e) {
    CHECK(std::string(e.what()) == "write file: a: " + system_code(std::errc::no_space_on_device).message());
    CHECK(e.code() == std::errc::no_space_on_device);
  }
  CHECK(make_error_code(errc::disk_full) == std::errc::no_space_on_device);
}

TEST_CASE("error: whatever is thrown becomes contrail::error", "[error]") {
  const auto described = [](auto thrown) {
    try {
      contrail::detail::rethrow_described(std::make_exception_ptr(thrown), "copy file", "f");
    } catch (const contrail::error& e) {
      return e.details().operation + "|" + e.details().file + "|" + std::to_string(e.code().value());
    }
    return std::string("nothing");
  };
  const std::error_code broken = system_code(std::errc::io_error);
  CHECK(described(std::system_error(broken)) == "copy file|f|" + std::to_string(broken.value()));
  CHECK(described(std::runtime_error("x")) == "copy file|f|5");
  contrail::error_details own;
  own.operation = "read page 3";
  CHECK(described(contrail::error(errc::read_verify_failure, own)) == "read page 3|f|-1018");
  own.file = "g";
  CHECK(described(contrail::error(errc::read_verify_failure, own)) == "read page 3|g|-1018");
  CHECK_THROWS_AS(contrail::detail::rethrow_described(std::make_exception_ptr(std::bad_alloc()), "x"), std::bad_alloc);
  CHECK(contrail::detail::code_of(std::make_exception_ptr(std::bad_alloc())) == errc::out_of_memory);
  CHECK_FALSE(contrail::detail::code_of(nullptr));
  CHECK(contrail::detail::is_cancelled(asio::error::operation_aborted));
  CHECK_FALSE(contrail::detail::is_cancelled(make_error_code(errc::backup_abort_by_server)));
}
