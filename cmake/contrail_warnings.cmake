# Warnings are errors in our own code; a project that embeds Contrail is not stopped by a compiler newer than ours.
add_library(contrail_warnings INTERFACE)
target_compile_options(contrail_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor -Woverloaded-virtual
  $<$<BOOL:${PROJECT_IS_TOP_LEVEL}>:-Werror>
  # GCC 12: false alarms on bindings from co_await, on joined strings, on frames that Asio allocates, and Asio's fences under the thread sanitizer.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized -Wno-restrict -Wno-mismatched-new-delete -Wno-tsan>)
