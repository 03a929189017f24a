#!/usr/bin/env bash
# uring_trace.sh PROGRAM: runs a test of the I/O suite under strace and looks whether its reads really went to the ring. Exit 77: skipped.
set -u
program=$1
trace=$(mktemp)
trap 'rm -f "$trace"' EXIT
if ! command -v strace > /dev/null || ! strace -o /dev/null true 2> /dev/null; then
  echo "skipped: strace is missing or may not trace here"
  exit 77
fi
# The leak sanitizer cannot work in a traced process.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"
strace -f -qq -e trace=io_uring_setup,io_uring_enter,pread64,preadv -o "$trace" "$program" 'io_file: many reads at once*' || exit 1
if ! grep -q 'io_uring_setup(.*) = [0-9]' "$trace"; then
  echo "skipped: io_uring is not available here"
  exit 77
fi
# Submissions: io_uring_enter(fd, to_submit, ...) with to_submit > 0 that was accepted. The program runs the suite on each backend, so
# preads (of the threads backend) stand in the trace too.
submitted=$(grep -oE 'io_uring_enter\([0-9]+, [1-9][0-9]*, .*\) = [1-9][0-9]*' "$trace" | sed -E 's/.* = ([0-9]+)$/\1/' | awk '{ n += $1 } END { print n + 0 }')
echo "entries submitted to the ring: $submitted"
[ "$submitted" -ge 1000 ] || { echo "too few: the uring backend does not use the ring"; exit 1; }
