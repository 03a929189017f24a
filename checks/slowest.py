#!/usr/bin/env python3
"""slowest.py <ninja build folder>...: what took longest to compile in each, as far as ninja's log tells (ccache hits are fast)."""
import pathlib
import sys

SHOWN = 5


def main():
    for folder in map(pathlib.Path, sys.argv[1:]):
        log = folder / ".ninja_log"
        if not log.exists():
            continue
        seconds = {}
        for line in log.read_text().splitlines()[1:]:
            start, end, _, output, *_ = line.split("\t")
            if output.endswith(".o"):
                seconds[output.rpartition(".dir/")[2].removesuffix(".o")] = (int(end) - int(start)) / 1000
        slowest = sorted(seconds.items(), key=lambda entry: -entry[1])[:SHOWN]
        print(f"slowest to compile in {folder}:", ", ".join(f"{name} {time:.1f} s" for name, time in slowest))


main()
