#!/usr/bin/env python3
"""windows_skips.py [--root FOLDER]: compares the list of tests that do not run on Windows with what ran there.

tests/windows_skips.txt has a line "test name | reason" for each test of Linux that is left out under Wine or skipped there while it runs;
"program: * | reason" stands for all tests of a program. What ran is read from the reports that ctest wrote, build/release/junit.xml and
build/windows/junit.xml. Exit status 1 when something was found.
"""
import argparse
import pathlib
import sys
import xml.etree.ElementTree as xml

from junit_counts import verdict

RULES = {
    "not-listed": "does not run on Windows, and nothing says why",
    "was-run": "is listed, but it ran on Windows",
    "unknown": "is listed, but is no test of Linux",
    "no-reason": 'a line is "test name | reason"',
}
LIST = "tests/windows_skips.txt"


def verdicts(path):
    try:
        found = {case.get("name"): verdict(case) for case in xml.parse(path).getroot().iter("testcase")}
    except (OSError, xml.ParseError) as problem:
        sys.exit(f"windows_skips: no report of the tests: {problem}")
    if not found:
        sys.exit(f"windows_skips: no tests in {path}")
    return found


def check(listed, linux, windows):
    """Yields (line, rule, what)."""
    explained = set()
    for number, text in enumerate(listed.splitlines(), 1):
        line = text.strip()
        if not line or line.startswith("#"):
            continue
        name, bar, reason = (part.strip() for part in line.partition(" | "))
        if not bar or not name or not reason:
            yield number, "no-reason", line
            continue
        names = {one for one in linux if one.startswith(name[:-1])} if name.endswith(": *") else {name} & set(linux)
        if not names:
            yield number, "unknown", name
        for one in sorted(names):
            if windows.get(one, "skipped") != "skipped":
                yield number, "was-run", one
        explained |= names
    for name in sorted(set(linux) - explained):
        if windows.get(name, "skipped") == "skipped":
            yield 1, "not-listed", name


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    root = arguments.parse_args().root
    linux, windows = verdicts(root / "build/release/junit.xml"), verdicts(root / "build/windows/junit.xml")
    found = list(check((root / LIST).read_text(), linux, windows))
    for line, rule, what in found:
        print(f"{LIST}:{line}: {rule}: {what}: {RULES[rule]}")
    ran = sum(windows.get(name, "skipped") != "skipped" for name in linux)
    print(f"windows_skips: {ran} of {len(linux)} tests run on Windows, {len(found)} findings")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
