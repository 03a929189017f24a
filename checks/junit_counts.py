#!/usr/bin/env python3
"""junit_counts.py [--failures|--skipped] <junit.xml written by ctest>: prints "passed failed skipped", or the tests of one kind.

A test that passed, but says "skipped: reason" on a line of its own, counts as skipped: it did not look at all that it is there for.
"""
import re
import sys
import xml.etree.ElementTree as xml

OUTPUT_LINES = 40
SAYS_SKIPPED = re.compile(r"^\s*(skipped: .*)", re.MULTILINE)


def verdict(case):
    if case.find("skipped") is not None:
        # ctest reports a test that could not be started in the same way as one that asked to be skipped.
        return "skipped" if case.find("skipped").get("message", "").startswith("SKIP_") else "failed"
    if case.get("status") != "run" or case.find("failure") is not None:
        return "failed"
    return "skipped" if SAYS_SKIPPED.search(case.findtext("system-out") or "") else "passed"


def main():
    try:
        cases = list(xml.parse(sys.argv[-1]).getroot().iter("testcase"))
    except (OSError, xml.ParseError) as problem:
        sys.exit(f"no report of the tests: {problem}")
    if sys.argv[1] == "--failures":
        for case in cases:
            if verdict(case) == "failed":
                output = (case.findtext("system-out") or "").splitlines()
                print(f"FAILED {case.get('name')}", *output[-OUTPUT_LINES:], sep="\n")
    elif sys.argv[1] == "--skipped":
        for case in cases:
            if verdict(case) == "skipped":
                reasons = SAYS_SKIPPED.findall(case.findtext("system-out") or "")
                print(f"{case.get('name')}: {'; '.join(reasons) or 'skipped'}")
    else:
        print(*(sum(verdict(case) == kind for case in cases) for kind in ("passed", "failed", "skipped")))


if __name__ == "__main__":
    main()
