#!/usr/bin/env python3
"""layers.py [--root FOLDER]: who may include whom, who may touch the operating system, and how long a file may be.

Exit status 1 when something was found. A comment "lint: allow(RULE): reason" lifts a rule for its line and the next one,
"lint: allow-file(RULE): reason" for the file.
"""
import argparse
import pathlib
import re
import sys

from cpp_text import allowances, tokens

RULES = {
    "layer": "a layer includes only those below it, and engines and sinks do not know each other",
    "private-header": "headers of io/ and src/ are private: include/ and other parts must not include them",
    "engine-name": "only the program names a particular engine; nothing else above the contracts may",
    "liburing": "only io/uring includes liburing",
    "os-header": "only io/, src/engines/ and src/cli/ include headers of the operating system",
    "file-access": "files are reached through contrail::io; std::filesystem::path is a value, all else in it and file streams are not",
    "platform-ifdef": "no preprocessor condition on the platform outside io/ and include/contrail/io/",
    "too-long": "a public header has at most 250 lines, any other file 500",
    "pragma-once": "a header starts with #pragma once",
}

# Each layer may include itself and those named. Files belong to the first pattern that fits.
LAYERS = [
    ("io", r"(include/contrail/)?io/", ()),
    ("engines", r"include/contrail/engines/(?P<header>[^/.]+)|src/engines/(?P<leaf>[^/]+)/", ("io", "async", "contracts")),
    ("sinks", r"include/contrail/sinks/(?P<header>[^/.]+)|src/sinks/(?P<leaf>[^/]+)/", ("io", "async", "contracts")),
    ("async", r"src/async/", ("io", "contracts")),
    ("transfer", r"src/transfer/", ("io", "async", "contracts")),
    ("session", r"include/contrail/backup_session\.hpp|src/session/", ("io", "async", "contracts", "transfer")),
    ("operations", r"include/contrail/(backup|restore|verify)\.hpp|src/operations/", ("io", "async", "contracts", "transfer", "session")),
    ("cli", r"src/cli/", None),
    ("tests", r"tests/|bench/|examples/", None),
    ("contracts", r"include/contrail/[^/]+\.hpp|src/[^/]+$|src/(format|source)/", ("io", "async")),
]
MAY_TOUCH_SYSTEM = ("io", "engines", "cli", "tests")
ENGINES = ("sqlite", "pagestore", "rocksdb", "postgres", "wiredtiger", "lmdb")
FOLDERS = ("include", "io", "src", "tests", "bench", "examples")
PUBLIC_HEADER_LINES, FILE_LINES = 250, 500

INCLUDE = re.compile(r"\s*#\s*include\s*([<\"])([^>\"]+)")
LIBURING = re.compile(r"liburing(\.h|/)|linux/io_uring\.h")
OS_HEADER = re.compile(
    r"(sys|linux|asm|arpa|net|netinet|mach|winsock2?|bits)/|(unistd|fcntl|dirent|poll|pthread|signal|termios|sched|spawn|dlfcn|grp|pwd|mntent|"
    r"aio|ftw|glob|syslog|utime|windows|winsock2?|winbase|io|direct|libgen|seccomp)\.h$")
FILE_STREAMS = {"ifstream", "ofstream", "fstream", "filebuf", "fopen", "freopen", "FILE", "tmpfile", "tmpnam"}
PLATFORM = re.compile(
    r"#\s*(if|ifdef|ifndef|elif|elifdef|elifndef)\b.*(__linux|__gnu_linux|_WIN32|_WIN64|__WIN|__APPLE__|__unix|__FreeBSD__|__NetBSD__|__OpenBSD__|"
    r"_MSC_VER|__MINGW|__CYGWIN__|__ANDROID__|__sun\b|_POSIX|__has_include\s*\(\s*<(sys|linux|unistd|windows|liburing|fcntl))", re.DOTALL)


def layer_of(path):
    for name, pattern, below in LAYERS:
        match = re.match(pattern, path)
        if match:
            leaf = next((value for value in match.groupdict().values() if value), "")
            return name, below, leaf
    return None, None, ""


class File:
    def __init__(self, root, path):
        self.root = root
        self.path = path.relative_to(root).as_posix()
        self.text = path.read_text()
        self.layer, self.below, self.leaf = layer_of(self.path)
        self.public = self.path.startswith("include/")
        self.lifted = allowances(self.text)
        self.found = []

    def report(self, rule, line, what=""):
        if (rule, line) not in self.lifted and (rule, 0) not in self.lifted:
            self.found.append((line, rule, what))

    def resolve(self, name, quoted):
        """The included file, relative to the root, when it is one of ours."""
        own_folder = pathlib.PurePosixPath(self.path).parent
        places = [own_folder] if quoted else []
        places += [pathlib.PurePosixPath(folder) for folder in ("include", "src", "io", "src/cli", "tests")]
        for place in places:
            candidate = (self.root / place / name).resolve()
            if candidate.is_file() and candidate.is_relative_to(self.root):
                return candidate.relative_to(self.root).as_posix()
        return None

    def check(self):
        self.length()
        code = list(tokens(self.text))
        for token in code:
            if token.kind == "directive":
                self.directive(token)
        if self.layer not in MAY_TOUCH_SYSTEM:
            self.file_access(code)
        if self.layer in ("contracts", "async", "transfer", "session", "operations"):
            self.engine_names(code)
        return sorted(self.found)

    def length(self):
        lines = self.text.count("\n")
        limit = PUBLIC_HEADER_LINES if self.public else FILE_LINES
        if lines > limit:
            self.report("too-long", limit + 1, f"{lines} lines")
        if self.path.endswith(".hpp") and not any(
                token.kind == "directive" and re.match(r"\s*#\s*pragma\s+once", token.text) for token in tokens(self.text)):
            self.report("pragma-once", 1)

    def directive(self, token):
        if PLATFORM.search(token.text) and self.layer != "io":
            self.report("platform-ifdef", token.line, token.text.strip())
        match = INCLUDE.match(token.text)
        if not match:
            return
        name, quoted = match[2], match[1] == '"'
        if LIBURING.match(name) and not self.path.startswith("io/uring/") and self.layer != "tests":
            self.report("liburing", token.line, name)
        elif OS_HEADER.match(name) and (self.public or self.layer not in MAY_TOUCH_SYSTEM):
            self.report("os-header", token.line, name)
        if name == "fstream" and self.layer not in MAY_TOUCH_SYSTEM:
            self.report("file-access", token.line, name)
        target = self.resolve(name, quoted)
        if target is None and name.startswith("contrail/"):
            target = "include/" + name
        if target:
            self.include(token.line, target)

    def include(self, line, target):
        layer, _, leaf = layer_of(target)
        if self.below is not None:
            same = layer == self.layer and (layer not in ("engines", "sinks") or not self.leaf or not leaf or leaf == self.leaf)
            if not same and layer not in self.below:
                self.report("layer", line, f"{self.layer} includes {target} ({layer})")
        if self.public and not target.startswith("include/"):
            self.report("private-header", line, target)
        elif target.startswith("io/") and self.layer not in ("io", "tests"):
            self.report("private-header", line, target)

    def file_access(self, code):
        spaces = {"filesystem"}
        for i, token in enumerate(code):
            words = [one.text for one in code[i:i + 4]]
            if words[:1] == ["namespace"] and len(words) > 2 and words[2] == "=" and "filesystem" in [one.text for one in code[i:i + 8]]:
                spaces.add(words[1])
            if token.kind == "word" and token.text in FILE_STREAMS:
                self.report("file-access", token.line, token.text)
            if token.kind == "word" and token.text in spaces and len(words) > 2 and words[1] == "::" and words[2] != "path":
                self.report("file-access", token.line, f"{token.text}::{words[2]}")

    def engine_names(self, code):
        for token in code:
            if token.kind in ("word", "string"):
                for engine in ENGINES:
                    if engine in token.text.lower():
                        self.report("engine-name", token.line, token.text)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    root = arguments.parse_args().root.resolve()
    paths = sorted(path for folder in FOLDERS for path in (root / folder).rglob("*") if path.suffix in (".hpp", ".cpp", ".h", ".c"))
    if not paths:
        sys.exit("layers: nothing to look at")
    count = 0
    for path in paths:
        file = File(root, path)
        if file.layer is None:
            print(f"{file.path}:1: layer: belongs to no layer that checks/layers.py knows")
            count += 1
        for line, rule, what in file.check():
            count += 1
            print(f"{file.path}:{line}: {rule}: {what + ': ' if what else ''}{RULES[rule]}")
    print(f"layers: {len(paths)} files, {count} findings")
    sys.exit(1 if count else 0)


if __name__ == "__main__":
    main()
