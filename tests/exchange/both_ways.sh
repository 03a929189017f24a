#!/bin/sh
# both_ways.sh LINUX_PROGRAM WINDOWS_PROGRAM WINE
# Each of two builds of "exchange" makes a repository, and each checks both: every name and every byte. Names that Windows cannot store are
# refused there before anything is written. At last one byte of a set is turned over, which both have to find.
set -u
[ $# -eq 3 ] || { echo "usage: both_ways.sh LINUX_PROGRAM WINDOWS_PROGRAM WINE" >&2; exit 2; }
linux=$(realpath "$1") && windows=$(realpath "$2") || exit 2
wine=$3
seconds=120

# Names that both understand: relative ones, in ASCII here, since arguments of the program are not what is tested.
place=$(mktemp -d) || exit 2
trap 'rm -rf "$place"' EXIT
cd "$place" || exit 2
on_linux() { timeout $seconds "$linux" "$@"; }
on_windows() { timeout $seconds "$wine" "$windows" "$@"; }
failed() { echo "both_ways: $*" >&2; exit 1; }

on_linux make linux-made 11 || failed "the Linux program could not make a set"
on_windows make windows-made 12 || failed "the Windows program could not make a set"
for of in linux windows; do
  seed=$([ $of = linux ] && echo 11 || echo 12)
  on_linux check $of-made $seed $of-made-on-linux || failed "the set made on $of is not right on Linux"
  on_windows check $of-made $seed $of-made-on-windows || failed "the set made on $of is not right on Windows"
  diff -r $of-made-on-linux $of-made-on-windows || failed "the set made on $of is restored differently"
done

# What is good on Linux, and no name or no other name on Windows.
for name in nested/aux.db 'ab:c' dot. EMPTY NESTED/x; do
  rm -rf unstorable on-linux on-windows refused
  on_linux make unstorable 11 $name || failed "no set with $name"
  on_linux check unstorable 11 on-linux $name || failed "the set with $name is not right on Linux"
  on_windows check unstorable 11 on-windows $name >wrong 2>&1 && failed "$name was restored on Windows"
  grep -q -e "that this system can store" -e "that this system tells apart" wrong || failed "$name was not refused: $(cat wrong)"
  [ ! -e on-windows ] || failed "$name was refused, but something was left behind"
done
for name in nested/aux.db 'ab:c' dot. NESTED/x MANIFEST.JSON; do
  rm -rf refused
  on_windows make refused 11 $name >wrong 2>&1 && failed "$name was backed up on Windows"
  grep -q -e "that this system can store" -e "that this system tells apart" wrong || failed "$name was not refused: $(cat wrong)"
  [ ! -e refused ] || failed "$name was refused, but a repository was left behind"
done

# The same must be able to fail: another seed, and a damaged set.
on_linux check linux-made 12 other-seed 2>wrong && failed "a set of another seed was called right on Linux"
on_windows check windows-made 11 other-seed-too 2>wrong && failed "a set of another seed was called right on Windows"
for of in linux windows; do
  file=$(find $of-made -name 'Z*.db') && [ -f "$file" ] || failed "the set made on $of has no file to damage"
  byte=$(od -An -tu1 -j 77777 -N1 "$file" | tr -d ' ')
  printf "\\$(printf %o $((byte ^ 1)))" | dd of="$file" bs=1 seek=77777 conv=notrunc 2>/dev/null
  seed=$([ $of = linux ] && echo 11 || echo 12)
  for on in linux windows; do
    on_$on check $of-made $seed damaged-$of-$on >wrong 2>&1 && failed "a byte turned over in the set made on $of was not found on $on"
    grep -q "damage in" wrong || failed "a byte turned over in the set made on $of: $(cat wrong)"
    [ ! -e damaged-$of-$on ] || failed "a damaged set left something on $on"
  done
done
echo "both_ways: sets of both systems are right on both, and a byte turned over is found on both"
