#pragma once

#include <asio/buffer.hpp>
#include <asio/detail/config.hpp>
#include <asio/detail/thread_info_base.hpp>
#include <asio/version.hpp>

// Asio's settings change the layout of its types without changing their names: two halves of a program that disagree would link, and then
// corrupt memory. So every file that uses Contrail asks for a symbol whose name spells its own settings, and the library defines only the
// one with the settings it was compiled with. A disagreement is then a link error in which the settings that are asked for can be read:
//
//   undefined reference to contrail::io::detail::asio_configuration<version<102201>, header_only, ..., io_uring<true>, ...>::compiled_in()
//
// Cure: link the target contrail::io (it carries the settings), or have Contrail compiled with yours (CMake: CONTRAIL_ASIO_TARGET).

namespace contrail::io::detail::asio_settings {

template <long Number> struct version;
template <int Blocks> struct recycled_blocks;
struct header_only;
struct compiled_once;
template <bool On> struct io_uring;
template <bool On> struct io_uring_as_default;
template <bool On> struct epoll;
template <bool On> struct eventfd;
template <bool On> struct timerfd;
template <bool On> struct threads;
template <bool On> struct buffer_debugging;
template <bool On> struct handler_tracking;
template <bool On> struct ts_executors;
template <bool On> struct ts_executor_as_default;
template <bool On> struct small_block_recycling;

#if defined(ASIO_HEADER_ONLY)
using compilation = header_only;
#else
using compilation = compiled_once;
#endif

#if defined(ASIO_HAS_IO_URING)
using has_io_uring = io_uring<true>;
#else
using has_io_uring = io_uring<false>;
#endif

#if defined(ASIO_HAS_IO_URING_AS_DEFAULT)
using has_io_uring_as_default = io_uring_as_default<true>;
#else
using has_io_uring_as_default = io_uring_as_default<false>;
#endif

#if defined(ASIO_HAS_EPOLL)
using has_epoll = epoll<true>;
#else
using has_epoll = epoll<false>;
#endif

#if defined(ASIO_HAS_EVENTFD)
using has_eventfd = eventfd<true>;
#else
using has_eventfd = eventfd<false>;
#endif

#if defined(ASIO_HAS_TIMERFD)
using has_timerfd = timerfd<true>;
#else
using has_timerfd = timerfd<false>;
#endif

#if defined(ASIO_HAS_THREADS)
using has_threads = threads<true>;
#else
using has_threads = threads<false>;
#endif

#if defined(ASIO_ENABLE_BUFFER_DEBUGGING)
using has_buffer_debugging = buffer_debugging<true>;
#else
using has_buffer_debugging = buffer_debugging<false>;
#endif

#if defined(ASIO_ENABLE_HANDLER_TRACKING)
using has_handler_tracking = handler_tracking<true>;
#else
using has_handler_tracking = handler_tracking<false>;
#endif

#if defined(ASIO_NO_TS_EXECUTORS)
using has_ts_executors = ts_executors<false>;
#else
using has_ts_executors = ts_executors<true>;
#endif

#if defined(ASIO_USE_TS_EXECUTOR_AS_DEFAULT)
using has_ts_executor_as_default = ts_executor_as_default<true>;
#else
using has_ts_executor_as_default = ts_executor_as_default<false>;
#endif

#if defined(ASIO_DISABLE_SMALL_BLOCK_RECYCLING)
using has_small_block_recycling = small_block_recycling<false>;
#else
using has_small_block_recycling = small_block_recycling<true>;
#endif

}  // namespace contrail::io::detail::asio_settings

namespace contrail::io::detail {

/// `compiled_in` is defined for one list of settings: the library's own (io/asio/configuration.cpp).
template <typename... Settings>
struct asio_configuration {
  static void compiled_in() noexcept;
};

using this_asio_configuration =
    asio_configuration<asio_settings::version<ASIO_VERSION>, asio_settings::compilation, asio_settings::has_io_uring,
                       asio_settings::has_io_uring_as_default, asio_settings::has_epoll, asio_settings::has_eventfd,
                       asio_settings::has_timerfd, asio_settings::has_threads, asio_settings::has_buffer_debugging,
                       asio_settings::has_handler_tracking, asio_settings::has_ts_executors, asio_settings::has_ts_executor_as_default,
                       asio_settings::has_small_block_recycling, asio_settings::recycled_blocks<ASIO_RECYCLING_ALLOCATOR_CACHE_SIZE>>;

// One pointer a file, kept although nobody reads it. "retain" keeps it also when the program is linked with --gc-sections.
#if defined(__ELF__)
[[gnu::retain]]
#endif
[[maybe_unused, gnu::used]] static void (*const asio_configuration_in_use)() noexcept =
    &this_asio_configuration::compiled_in;

}  // namespace contrail::io::detail
