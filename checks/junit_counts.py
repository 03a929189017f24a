#!/usr/bin/env python3
"""junit_counts.py [--failures] <junit.xml written by ctest>: prints "passed failed skipped", or the tests that did not pass."""
import sys
import xml.etree.ElementTree as xml

OUTPUT_LINES = 40


def verdict(case):
    if case.find("skipped") is not None:
        # ctest reports a test whose program could not be started in the same way as one that says it was skipped.
        message = case.find("skipped").get("message", "")
        return "skipped" if message.startswith("SKIP_") else "failed"
    return "passed" if case.get("status") == "run" and case.find("failure") is None else "failed"


def main():
    show = sys.argv[1] == "--failures"
    cases = list(xml.parse(sys.argv[-1]).getroot().iter("testcase"))
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for case in cases:
        counts[verdict(case)] += 1
        if show and verdict(case) == "failed":
            output = (case.findtext("system-out") or "").splitlines()
            print(f"FAILED {case.get('name')}", *output[-OUTPUT_LINES:], sep="\n")
    if not show:
        print(counts["passed"], counts["failed"], counts["skipped"])


main()
