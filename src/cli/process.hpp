#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

/// What is special to the system about a process, its terminal and its signals.
namespace contrail::cli::process {

/// Once, first thing in the program. Standard descriptors that are closed are bound to nothing, lest a database be opened as "standard
/// output"; a closed pipe becomes an error instead of a signal; what is written comes out byte for byte, and on a terminal as UTF-8.
void prepare();
/// Did the program start without a standard output?
bool stdout_was_closed() noexcept;

/// The arguments after the program's name, in UTF-8 where the system has an encoding for them.
std::vector<std::string> words(int argc, char** argv);

/// A new directory below `base`, for this user alone where the system has such rights; its name begins with `name`. `operation` is for the error.
std::filesystem::path make_directory(const std::filesystem::path& base, const std::string& name, const std::string& operation);

/// Columns of the terminal behind standard error.
std::size_t terminal_columns() noexcept;
/// Does standard error lead to somebody who looks at it, on a terminal that knows escape sequences?
bool stderr_is_terminal() noexcept;

/// The signals that ask to stop and that are nobody's to ignore.
std::vector<int> stop_signals();
/// The loss of the terminal, where it is a signal and was not ignored from the start (nohup). It is ignored from now on, until it is
/// given a handler.
std::vector<int> hangup_signals();
/// "SIGINT"; "signal 99" for one without a name here.
std::string signal_name(int signal);

}  // namespace contrail::cli::process
