#!/usr/bin/env python3
"""coroutine_lint.py [--root FOLDER] [FILE...]: finds coroutine forms that GCC 12 compiles to wrong code, and forms we ban.

Exit status 1 when something was found. A comment "lint: allow(RULE): reason" lifts a rule for its line and the next one,
"lint: allow-file(RULE): reason" for the file.
"""
import argparse
import pathlib
import sys

from cpp_text import Group, allowances, lambda_captures, parse, tokens

RULES = {
    "aggregate-temporary": "braced temporary in an expression with co_await: GCC 12 destroys it twice; use a named local",
    "braced-argument": "braced argument in an expression with co_await: GCC 12 destroys it twice or fails; use a named local",
    "await-in-braces": "co_await inside braces: GCC 12 destroys what they make twice; await into a named local first",
    "lambda-with-await": "capturing lambda in an expression with co_await: GCC 12 destroys its captures twice; name it before",
    "lambda-to-initiation": "capturing lambda given to co_spawn or async_initiate in a coroutine: GCC 12 destroys its captures twice; name it, then move it",
    "invoked-lambda": "capturing lambda coroutine called at once: its captures die with it, before its body runs; pass parameters",
    "conditional": "?: with co_await: GCC 12 destroys its result twice; use if and else",
    "await-in-condition": "co_await in the condition of if, while, switch or for: GCC 12 may crash; await into a local first",
    "await-in-macro": "co_await in the arguments of a macro, which may repeat them in a condition; await into a local first",
    "braced-initiation": "braced function object given to async_initiate in a coroutine: GCC 12 destroys it twice; give it a constructor",
    "detached": "asio::detached loses errors and lifetimes; use a task group or a completion handler that looks at the error",
    "await-in-catch": "co_await in a catch block; remember the exception and await after the block",
}

FOLDERS = ("include", "io", "src", "tests")
BUILTIN = {"int", "unsigned", "bool", "char", "double", "float", "long", "short", "auto"}
CONTAINERS = {"array", "vector", "initializer_list", "map", "set", "list", "deque", "unordered_map", "unordered_set", "span"}


class Linter:
    def __init__(self):
        self.found = []

    def report(self, rule, line):
        self.found.append((line, rule))

    # The tree

    def block(self, group, coroutine, in_catch):
        for statement in group.items:
            if statement:
                self.statement(statement, coroutine, in_catch)

    def statement(self, items, coroutine, in_catch):
        while items and items[0].text in ("else", "do", "try"):
            items = items[1:]
        if not items:
            return
        keyword = items[0].text
        at = 2 if len(items) > 1 and items[1].text == "constexpr" else 1
        if keyword in ("if", "while", "switch", "for", "catch") and at < len(items) and items[at].text == "(":
            self.condition(keyword, items[at], coroutine, in_catch)
            self.statement(items[at + 1:], coroutine, in_catch or keyword == "catch")
            return
        self.expression(items, coroutine, in_catch)

    def condition(self, keyword, group, coroutine, in_catch):
        items = group.items
        if keyword == "for":
            parts = split(items, ";")
            if len(parts) == 3 and awaits(parts[1]):
                self.report("await-in-condition", line_of_await(parts[1]))
        elif awaits(items):
            self.report("await-in-condition", line_of_await(items))
        self.expression(items, coroutine, in_catch)

    def expression(self, items, coroutine, in_catch):
        """One full expression (or a declaration, which may hold function bodies)."""
        if awaits(items):
            if in_catch:
                self.report("await-in-catch", line_of_await(items))
            self.with_await(items)
        if coroutine:
            self.initiations(items)
        self.bodies(items, coroutine, in_catch)

    def bodies(self, items, coroutine, in_catch):
        for i, item in enumerate(items):
            if not isinstance(item, Group):
                continue
            if item.open != "block":
                if item.open == "(" and item.items and is_called(items, i):
                    self.invoked(item.items, len(item.items) - 1)
                self.bodies(item.items, coroutine, in_catch)
            elif lambda_captures(items, i) is not None or is_function(items[:i]):
                if is_called(items, i):
                    self.invoked(items, i)
                self.block(item, is_coroutine(item), False)
            else:
                self.block(item, coroutine, in_catch)

    def invoked(self, items, i):
        """items[i], if it is the body of a lambda, is called at once."""
        body = items[i]
        if isinstance(body, Group) and body.open == "block":
            captures = lambda_captures(items, i)
            if captures is not None and captures.items and is_coroutine(body):
                self.report("invoked-lambda", captures.line)

    # The rules

    def with_await(self, items, awaited=False):
        """Items of an expression in which co_await stands, maybe outside of these brackets (awaited)."""
        await_here = line_of_await(items) or awaited
        for i, item in enumerate(items):
            if not isinstance(item, Group):
                if item.text == "?" and await_here:
                    self.report("conditional", item.line)
            elif item.open == "block":
                captures = lambda_captures(items, i)
                if captures is not None and captures.items:
                    self.report("lambda-with-await", captures.line)
            else:
                if item.open == "{":
                    self.braces(items, i)
                if item.open == "(" and i and is_macro(items[i - 1]) and awaits(item.items):
                    self.report("await-in-macro", line_of_await(item.items))
                self.with_await(item.items, True)

    def braces(self, items, i):
        group = items[i]
        if awaits(group.items):
            self.report("await-in-braces", line_of_await(group.items))
            return
        name = type_name(items[:i])
        if not name:
            self.report("braced-argument", group.line)
        elif name[0] in BUILTIN or name[0] == "asio" or (name[0] == "std" and not CONTAINERS.intersection(name)):
            return
        else:
            self.report("aggregate-temporary", group.line)

    def initiations(self, items):
        for i, item in enumerate(items):
            if not isinstance(item, Group) or item.open == "block":
                continue
            name = type_name(items[:i]) if item.open == "(" else []
            if name and name[-1] in ("co_spawn", "async_initiate"):
                self.arguments(item.items, name[-1])
            self.initiations(item.items)

    def arguments(self, items, function):
        for i, item in enumerate(items):
            if isinstance(item, Group) and item.open == "block":
                captures = lambda_captures(items, i)
                if captures is not None and captures.items:
                    self.report("lambda-to-initiation", captures.line)
            if isinstance(item, Group) and item.open == "{" and function == "async_initiate" and type_name(items[:i]):
                self.report("braced-initiation", item.line)


def split(items, separator):
    parts = [[]]
    for item in items:
        if item.text == separator:
            parts.append([])
        else:
            parts[-1].append(item)
    return parts


def awaits(items):
    """Is there a co_await that belongs to this expression, not to the body of a lambda in it?"""
    return line_of_await(items) is not None


def line_of_await(items):
    for item in items:
        if isinstance(item, Group):
            line = line_of_await(item.items) if item.open != "block" else None
            if line is not None:
                return line
        elif item.text == "co_await":
            return item.line
    return None


def is_coroutine(block):
    """Does co_await, co_return or co_yield stand in this body, bodies of lambdas in it left out?"""
    def inside(items):
        for i, item in enumerate(items):
            if isinstance(item, Group):
                if item.open != "block":
                    if inside(item.items):
                        return True
                elif lambda_captures(items, i) is None and any(inside(statement) for statement in item.items):
                    return True
            elif item.text in ("co_await", "co_return", "co_yield"):
                return True
        return False
    return any(inside(statement) for statement in block.items)


def is_function(head):
    return any(isinstance(item, Group) and item.open == "(" for item in head) and head[0].text not in (
        "if", "while", "switch", "for", "catch")


def is_macro(item):
    return not isinstance(item, Group) and item.kind == "word" and item.text.isupper() and len(item.text) > 1


def is_called(items, i):
    return i + 1 < len(items) and items[i + 1].text == "("


def type_name(items):
    """The qualified name (template arguments left out) at the end of the items: ["std", "vector"]; empty when there is none."""
    name, depth, i = [], 0, len(items) - 1
    while i >= 0:
        text = items[i].text
        if text == ">":
            depth += 1
        elif text == "<":
            depth -= 1
        elif depth > 0:
            pass
        elif isinstance(items[i], Group) or items[i].kind != "word" and text != "::":
            break
        elif items[i].kind == "word":
            if text in ("return", "co_return", "co_await", "co_yield", "new", "case", "throw", "const", "typename"):
                break
            if name and items[i + 1].text not in ("::", "<"):
                break
            if name and items[i + 1].text == "<" and not any(item.text == "::" for item in items[i + 1:]):
                break
            name.insert(0, text)
        i -= 1
    return name


def banned_words(text):
    for token in tokens(text):
        if token.kind == "word" and token.text in ("detached", "detached_t"):
            yield token.line
        elif token.kind == "directive" and "asio/detached.hpp" in token.text:
            yield token.line


def lint(text):
    linter = Linter()
    linter.block(parse(tokens(text)), False, False)
    found = set(linter.found) | {(line, "detached") for line in banned_words(text)}
    lifted = allowances(text)
    return sorted(entry for entry in found if (entry[1], entry[0]) not in lifted and (entry[1], 0) not in lifted)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    arguments.add_argument("files", nargs="*", type=pathlib.Path)
    options = arguments.parse_args()
    files = options.files or sorted(file for folder in FOLDERS for file in (options.root / folder).rglob("*.[ch]pp"))
    if not files:
        sys.exit("coroutine_lint: nothing to look at")
    count = 0
    for file in files:
        for line, rule in lint(file.read_text()):
            count += 1
            shown = file.relative_to(options.root) if file.is_relative_to(options.root) else file
            print(f"{shown}:{line}: {rule}: {RULES[rule]}")
    print(f"coroutine_lint: {len(files)} files, {count} findings")
    sys.exit(1 if count else 0)


if __name__ == "__main__":
    main()
