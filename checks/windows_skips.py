#!/usr/bin/env python3
"""windows_skips.py [--root FOLDER]: compares the list of tests that do not run on Windows with what ran there.

tests/windows_skips.txt has a line "test name | reason" for each test of Linux that is left out under Wine or skipped there while it runs;
"program: * | reason" stands for all tests of a program. So do tests of Windows alone that are skipped there. What ran is read from the reports that ctest wrote, build/release/junit.xml and
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
    "unknown": "is listed, but is no test",
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


def needs_sqlite(name):
    return name.startswith(("sqlite_", "cli_"))


def check(listed, linux, windows, without_sqlite=False):
    """Yields (line, rule, what)."""
    explained = {name for name in linux if without_sqlite and needs_sqlite(name)}
    for number, text in enumerate(listed.splitlines(), 1):
        line = text.strip()
        if not line or line.startswith("#"):
            continue
        name, bar, reason = (part.strip() for part in line.partition(" | "))
        if not bar or not name or not reason:
            yield number, "no-reason", line
            continue
        known = {**linux, **windows}
        names = {one for one in known if one.startswith(name[:-1])} if name.endswith(": *") else {name} & set(known)
        if not names:
            yield number, "unknown", name
        for one in sorted(names):
            if windows.get(one, "skipped") != "skipped":
                yield number, "was-run", one
        explained |= names
    for name in sorted({**linux, **windows}.keys() - explained):
        if windows.get(name, "skipped") == "skipped":
            yield 1, "not-listed", name


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    arguments.add_argument("--without-sqlite", action="store_true", help="Windows had none: its tests need not be listed")
    given = arguments.parse_args()
    root = given.root
    linux, windows = verdicts(root / "build/release/junit.xml"), verdicts(root / "build/windows/junit.xml")
    found = list(check((root / LIST).read_text(), linux, windows, given.without_sqlite))
    for line, rule, what in found:
        print(f"{LIST}:{line}: {rule}: {what}: {RULES[rule]}")
    ran = sum(windows.get(name, "skipped") != "skipped" for name in linux)
    print(f"windows_skips: {ran} of {len(linux)} tests run on Windows, {len(found)} findings")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
