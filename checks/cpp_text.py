"""What the checks know of C++: files, comments, tokens, and the nesting of blocks. Not a compiler; enough for our own code."""
import re
from dataclasses import dataclass, field

TOKEN = re.compile(r"""
    (?P<comment>//[^\n]*|/\*.*?\*/)
  | (?P<raw>(?:u8|[uUL])?R"(?P<tag>[^()\s\\]{0,16})\(.*?\)(?P=tag)")
  | (?P<string>(?:u8|[uUL])?"(?:[^"\\\n]|\\.)*")
  | (?P<number>\d(?:'?[\w.])*)
  | (?P<char>(?:u8|[uUL])?'(?:[^'\\\n]|\\.)+')
  | (?P<directive>^[ \t]*\#(?:[^\n\\]|\\.|\\\n)*)
  | (?P<word>[A-Za-z_]\w*)
  | (?P<sign>::|->|\+\+|--|&&|\|\||[^\s\w])
""", re.VERBOSE | re.DOTALL | re.MULTILINE)

ALLOW = re.compile(r"lint: allow(?P<file>-file)?\((?P<rule>[\w-]+)\): \S+")
CLOSING = {"(": ")", "[": "]", "{": "}"}
DECLARES = {"namespace", "class", "struct", "union", "enum", "extern"}
BLOCK_AFTER = {"else", "do", "try", "const", "noexcept", "override", "final", "mutable", "constexpr"}


@dataclass
class Token:
    text: str
    line: int
    kind: str


@dataclass
class Group:
    """What stands between a pair of brackets. A "block" holds statements, the others hold items."""
    open: str                                  # ( [ { or block
    line: int
    items: list = field(default_factory=list)

    @property
    def text(self):
        return self.open


def tokens(text, comments=False):
    for match in TOKEN.finditer(text):
        if match.lastgroup != "comment" or comments:
            kind = "string" if match.lastgroup in ("raw", "tag") else match.lastgroup
            yield Token(match.group(), text.count("\n", 0, match.start()) + 1, kind)


def allowances(text):
    """Rules that a comment with a reason lifts: for a line (its own and the next), or for the file (line 0)."""
    lifted = set()
    for number, line in enumerate(text.split("\n"), 1):
        for match in ALLOW.finditer(line):
            lifted.update({(match["rule"], 0)} if match["file"] else {(match["rule"], number), (match["rule"], number + 1)})
    return lifted


def is_lambda_start(before):
    """Does a [ after this item open a lambda's captures?"""
    if before is None:
        return True
    if isinstance(before, Group):
        return before.open == "block"
    return before.kind not in ("word", "string", "number") and before.text != ">" or before.text in (
        "return", "co_return", "co_await", "co_yield", "else", "case")


def lambda_captures(items, body):
    """The [captures] group of the lambda whose body is items[body], or None when that block is no lambda's."""
    i = body - 1
    while i >= 0 and not isinstance(items[i], Group) and items[i].text not in (";", "=", ",", "return"):
        i -= 1   # mutable, noexcept, -> type
    if i >= 0 and items[i].text == "(":
        i -= 1
        if i >= 0 and items[i].text == ">":   # []<typename T>(...)
            while i >= 0 and items[i].text != "[":
                i -= 1
    if i < 0 or items[i].text != "[" or is_attribute(items[i]):
        return None
    return items[i] if is_lambda_start(items[i - 1] if i else None) else None


def is_attribute(group):
    return len(group.items) == 1 and group.items[0].text == "["


def opens_block(items, inside):
    """Is the { that comes after these items of a statement (in a bracket of this kind) a block, not a braced initializer?"""
    if not items:
        return inside == "block"
    last = items[-1]
    if isinstance(last, Group):
        if last.open == "[":
            return is_lambda_start(items[-2] if len(items) > 1 else None)
        return last.open in ("(", "block") or (last.open == "{" and inside == "block")
    if last.text in BLOCK_AFTER or (last.text == ":" and inside == "block" and items[0].text in ("case", "default")):
        return True
    words = [item.text for item in items]
    if words[0] == "template" or words[0] in DECLARES or words[:2] == ["inline", "namespace"] or words[0] == "typedef":
        if "(" not in words and "=" not in words:
            return True
    if "->" in words:
        arrow = len(words) - 1 - words[::-1].index("->")
        before = words[arrow - 1] if arrow else ""
        between = words[arrow + 1:]
        # A trailing return type: names, ::, <...>, *, & only, after a parameter list (and what may stand between).
        return before in ("(", "mutable", "noexcept", "const") and all(
            re.fullmatch(r"[\w:<>,*&]+|&&", word) and not word.isdigit() for word in between) and "." not in between and not (
                "=" in between)
    return last.text == "extern" or (last.kind == "string" and words[0] == "extern")


def parse(stream):
    """The tokens as a tree: a block of statements, each a list of tokens and groups."""
    root = Group("block", 0, [[]])
    stack = [root]

    def here():
        top = stack[-1]
        return top.items[-1] if top.open == "block" else top.items

    for token in stream:
        text = token.text
        if token.kind in ("directive", "comment"):
            continue
        if token.kind == "sign" and text in CLOSING:
            items = here()
            kind = text
            if text == "{" and opens_block(items, stack[-1].open):
                kind = "block"
            group = Group(kind, token.line, [[]] if kind == "block" else [])
            items.append(group)
            stack.append(group)
        elif token.kind == "sign" and text in (")", "]", "}"):
            if len(stack) > 1:
                closed = stack.pop()
                items = here()
                # A block ends its statement, unless it is the body of a lambda inside an expression.
                if closed.open == "block" and stack[-1].open == "block" and lambda_captures(items, len(items) - 1) is None:
                    stack[-1].items.append([])
        elif text == ";" and stack[-1].open == "block":
            stack[-1].items.append([])
        else:
            here().append(token)
    return root
