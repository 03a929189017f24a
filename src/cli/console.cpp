#include "cli/console.hpp"

#include "cli/process.hpp"
#include "cli/quantities.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>

namespace contrail::cli {

namespace {

json to_json(const failure& what) {
  json details;
  details["code"] = what.code;
  details["name"] = what.name;
  details["message"] = what.message;
  details["operation"] = what.operation;
  details["file"] = what.file;
  details["offset"] = nullptr;
  if (what.offset) {
    details["offset"] = *what.offset;
  }
  details["set"] = nullptr;
  if (!what.set.empty()) {
    details["set"] = what.set;
  }
  json out = json_object();
  out["error"] = std::move(details);
  return out;
}

}  // namespace

json json_object() {
  json out;
  out["schema"] = json_schema;
  return out;
}

void console::print(std::string_view text) {
  if (diverted_) {
    status({});
    write_error(text);
    return;
  }
  print_line(text);
}

void console::print_line(std::string_view text) {
  status({});
  int why = unwritable_ || process::stdout_was_closed() ? EBADF : 0;
  if (why == 0 && (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)) {
    why = errno;
  }
  if (why != 0) {
    // What is left in the buffer must not be written, or complained of, a second time.
    unwritable_ = true;
    fail(std::error_code(why, std::generic_category()), "write the result", "standard output");
  }
}

void console::print_json(const json& object) {
  print(object.dump(2, ' ', false, json::error_handler_t::replace) + "\n");
}

void console::write_error(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

void console::note(std::string_view text) {
  status({});
  write_error(fmt::format("contrail: {}\n", printable(text)));
}

void console::hint(std::string_view text) {
  write_error(fmt::format("  hint: {}\n", printable(text)));
}

void console::report(const failure& what) {
  note(what.message);
  if (!what.hint.empty()) {
    hint(what.hint);
  }
  if (!as_json_) {
    return;
  }
  try {
    print_json(to_json(what));
  } catch (const error& e) {
    note(e.what());
  }
}

void console::status(std::string_view line) {
  if (line.empty()) {
    if (status_shown_) {
      write_error("\r\x1b[K");
      status_shown_ = false;
    }
    return;
  }
  // The last column stays free: some terminals would go to the next line.
  write_error(fmt::format("\r{}\x1b[K", line.substr(0, process::terminal_columns() - 1)));
  status_shown_ = true;
}

}  // namespace contrail::cli
