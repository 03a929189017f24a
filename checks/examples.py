#!/usr/bin/env python3
"""examples.py [--root FOLDER]: every program in docs/examples stands word for word in a page of docs/ or in the README, so that what is
shown is what the tests build and run. Exit status 1 when one does not."""
import argparse
import pathlib
import sys

RULES = {"quoted": "a program in docs/examples must stand word for word in a page"}


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    root = arguments.parse_args().root.resolve()
    pages = [page.read_text() for page in [root / "README.md", *sorted((root / "docs").glob("*.md"))] if page.is_file()]
    examples = sorted((root / "docs" / "examples").glob("*.cpp"))
    if not examples:
        sys.exit("examples: nothing to look at")
    count = 0
    for example in examples:
        if not any("```cpp\n" + example.read_text().rstrip("\n") + "\n```" in page for page in pages):
            print(f"{example.relative_to(root).as_posix()}:1: quoted: no page shows it as it is")
            count += 1
    print(f"examples: {len(examples)} files, {count} findings")
    sys.exit(1 if count else 0)


if __name__ == "__main__":
    main()
