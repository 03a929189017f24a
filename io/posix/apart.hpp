#pragma once

#include <functional>
#include <span>

namespace contrail::io::detail {

/// Runs `work` in a thread that has a descriptor table of its own, which holds only the standard streams and `keep`, and waits for it. What
/// is opened there is closed at its end, and that close leaves the POSIX locks of the process alone: they belong to the other table.
/// False when the system gives no such thread; `work` has not run then. `work` must not throw.
bool run_apart(std::span<const int> keep, const std::function<void()>& work);

}  // namespace contrail::io::detail
