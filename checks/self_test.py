#!/usr/bin/env python3
"""self_test.py coroutine_lint|layers|examples|windows_skips: proves that a check can fail.

Each planted violation says what it must be reported as ("expect: RULE..." on its line); the check must report that, nothing else, and exit
with 1. What is named clean must pass. Every rule of the check must have a violation.
"""
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
EXPECT = re.compile(r"expect: ([\w-]+(?: [\w-]+)*)")
REPORT = re.compile(r"^(\S+?):(\d+): ([\w-]+): ", re.MULTILINE)


def expectations(case):
    files = [case] if case.is_file() else [path for path in case.rglob("*") if path.is_file()]
    root = case.parent if case.is_file() else case
    return {(path.relative_to(root).as_posix(), number, rule)
            for path in files for number, line in enumerate(path.read_text().split("\n"), 1)
            for match in EXPECT.finditer(line) for rule in match[1].split()}


def reports(check, case):
    root = case.parent if case.is_file() else case
    command = [sys.executable, str(HERE / f"{check}.py"), "--root", str(root)] + ([str(case)] if case.is_file() else [])
    done = subprocess.run(command, capture_output=True, text=True)
    if done.stderr:
        print(done.stderr)
    return {(path, int(line), rule) for path, line, rule in REPORT.findall(done.stdout)}, done.returncode


def main():
    check = sys.argv[1]
    rules, failures, cases = set(__import__(check).RULES), 0, sorted((HERE / "planted" / check).iterdir())
    for case in cases:
        wanted = expectations(case)
        found, status = reports(check, case)
        rules -= {rule for _, _, rule in wanted & found}
        wrong = [f"not found: {entry}" for entry in sorted(wanted - found)] + [f"false: {entry}" for entry in sorted(found - wanted)]
        if status != (1 if wanted else 0):
            wrong.append(f"exit status {status}")
        if bool(wanted) == (case.stem == "clean"):
            wrong.append("a case has expectations unless it is named clean")
        for text in wrong:
            print(f"{check}: {case.name}: {text}")
        failures += len(wrong)
    for rule in sorted(rules):
        print(f"{check}: nothing planted for {rule}")
    print(f"{check}: {len(cases)} cases, {failures + len(rules)} failures")
    sys.exit(1 if failures or rules else 0)


main()
