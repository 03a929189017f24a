#!/usr/bin/env python3
"""Makes docs/performance.svg and the tables in docs/performance.md from the results that the scripts of this directory wrote as JSON.
Needs nothing but Python. plot.py RESULT.json... [--svg FILE] [--fill FILE.md]: a table goes between the comments that carry its name."""
import argparse
import html
import json
import re
import statistics
import sys

WIDTH, LEFT, RIGHT, BAR, GAP = 920, 260, 170, 16, 6
INK, FAINT, OURS, THEIRS = "#1f2933", "#d5dbe1", "#0b7285", "#adb5bd"


def median(values):
    return statistics.median(values) if values else None


def one(value, form):
    return "-" if value is None else form.format(value)


def spread(values, form):
    if not values:
        return "-"
    return f"{form.format(median(values))} ({form.format(min(values))} to {form.format(max(values))})"


class drawing:
    """Horizontal bars, one below the other; a line from the least to the most of the rounds."""

    def __init__(self):
        self.parts, self.y = [], 10

    def text(self, x, y, what, size=12, anchor="start", weight="normal", colour=INK):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}" '
                          f'fill="{colour}">{html.escape(what)}</text>')

    def heading(self, what):
        self.y += 26
        self.text(16, self.y, what, 15, weight="bold")
        self.y += 6

    def panel(self, title, unit, bars, form="{:.2f}"):
        """bars: (label, values or None, note, ours)"""
        self.y += 20
        self.text(16, self.y, f"{title}, {unit}", 12, weight="bold")
        self.y += 8
        most = max((max(values) for _, values, _, _ in bars if values), default=1) or 1
        room = WIDTH - LEFT - RIGHT
        for label, values, note, ours in bars:
            middle = self.y + BAR * 0.72
            self.text(LEFT - 8, middle, label, anchor="end")
            if values:
                width = median(values) / most * room
                self.parts.append(f'<rect x="{LEFT}" y="{self.y}" width="{max(width, 1):.1f}" height="{BAR}" rx="2" '
                                  f'fill="{OURS if ours else THEIRS}"/>')
                low, high = LEFT + min(values) / most * room, LEFT + max(values) / most * room
                if len(values) > 1:
                    self.parts.append(f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{self.y + BAR / 2}" y2="{self.y + BAR / 2}" '
                                      f'stroke="{INK}" stroke-width="1.2"/>')
                self.text(max(high, LEFT + width) + 6, middle, form.format(median(values)) + (f"  {note}" if note else ""), 11)
            else:
                self.text(LEFT + 4, middle, note, 11)
            self.y += BAR + GAP
        self.parts.append(f'<line x1="{LEFT}" x2="{LEFT}" y1="{self.y - len(bars) * (BAR + GAP) - 2}" y2="{self.y - GAP + 2}" '
                          f'stroke="{FAINT}"/>')

    def svg(self):
        height = self.y + 16
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
                f'font-family="system-ui, sans-serif">\n<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(self.parts) + "\n</svg>\n")


def unfinished(tool):
    return f"did not finish in {tool['limit_seconds']:.0f} s ({tool['did_not_finish']} of {tool['tried']})"


def condition_name(c):
    return f"{c['cache']}, {'beside a writer' if c['writer'] else 'idle'}"


def draw_sqlite(canvas, result):
    canvas.heading(f"A copy of a SQLite database of {result['bytes'] / (1 << 30):.2f} GiB, synced")
    for c in result["conditions"]:
        bars = []
        for name, tool in c["tools"].items():
            note = unfinished(tool) if tool["did_not_finish"] else ""
            if tool.get("ratio"):
                note = (note + f" x{median(tool['ratio']):.2f}").strip()
            bars.append((name, tool["seconds"], note, name == "contrail"))
        canvas.panel(condition_name(c), "seconds (x: paired ratio to contrail)", bars)


def table_sqlite(result):
    lines = ["| | | seconds | CPU s | its time / contrail's | writer tx/s | worst ms |", "|---|---|---|---|---|---|---|"]
    for c in result["conditions"]:
        first = condition_name(c)
        for name, tool in c["tools"].items():
            seconds = spread(tool["seconds"], "{:.2f}")
            if tool["did_not_finish"]:
                seconds = unfinished(tool)
            writer = tool.get("writer") or []
            lines.append(f"| {first} | {name} | {seconds} | {one(median(tool['cpu_seconds']), '{:.2f}')} | {spread(tool.get('ratio'), '{:.2f}')} | "
                         f"{spread([w['rate'] for w in writer], '{:.0f}')} | {one(max((w['worst_ms'] for w in writer), default=None), '{:.0f}')} |")
            first = ""
    return lines


def draw_writers(canvas, result):
    canvas.heading(f"A writer beside it ({result['mib']} MiB database, windows of {result['seconds']:.0f} s)")
    states = result["states"]
    canvas.panel("rate", "transactions a second", [(n, [r["rate"] for r in s["rounds"]], "", n.startswith("contrail")) for n, s in states.items()],
                 "{:.0f}")
    canvas.panel("longest stall", "ms", [(n, [r["worst_ms"] for r in s["rounds"]], "", n.startswith("contrail")) for n, s in states.items()],
                 "{:.0f}")


def table_writers(result):
    lines = ["| the writer | transactions/s | of alone | of pinned | p99.9 ms | worst ms | copies |", "|---|---|---|---|---|---|---|"]
    states = result["states"]
    for name, state in states.items():
        rounds = state["rounds"]

        def ratio(to):
            return f"{median([r['rate'] / b['rate'] for r, b in zip(rounds, states[to]['rounds'])]):.2f}"
        lines.append(f"| {name} | {spread([r['rate'] for r in rounds], '{:.0f}')} | {ratio('alone')} | {ratio('pinned reader')} | "
                     f"{median([r['p999_ms'] for r in rounds]):.1f} | {spread([r['worst_ms'] for r in rounds], '{:.0f}')} | "
                     f"{state['copies'] or '-'} |")
    return lines


SETTINGS = (("cached", "warm"), ("cached", "cold"), ("direct", "cold"), ("neutral", "warm"), ("neutral", "cold"))


def reader_name(row):
    return f"{row['who']} {row['chunk_kib']}K x {row['depth']}"


def draw_io(canvas, result):
    canvas.heading(f"Reading and checking a file of {result['mib']} MiB")
    for how, cache in SETTINGS:
        rows = [r for r in result["rows"] if (r["how"], r["cache"]) == (how, cache)]
        if rows:
            canvas.panel(f"{how}, {cache}", "MiB/s (CPU s/GiB)",
                         [(reader_name(r), r["mib_per_second"], f"({median(r['cpu_s_per_gib']):.2f})", r["who"].startswith("contrail"))
                          for r in rows], "{:.0f}")


def table_io(result):
    lines = ["| | | MiB/s | CPU s/GiB | timer late p99.9 ms | max ms |", "|---|---|---|---|---|---|"]
    for how, cache in SETTINGS:
        first = f"{how}, {cache}"
        for r in result["rows"]:
            if (r["how"], r["cache"]) != (how, cache):
                continue
            late = [f"{median(r[k]):.2f}" if r[k] else "-" for k in ("late_p999_ms", "late_max_ms")]
            lines.append(f"| {first} | {reader_name(r)} | {spread(r['mib_per_second'], '{:.0f}')} | {median(r['cpu_s_per_gib']):.3f} | "
                         f"{late[0]} | {late[1]} |")
            first = ""
    return lines


def draw_memory(canvas, result):
    canvas.heading(f"Largest resident memory (allowed: --memory and {result['allowance_mib']} MiB)")
    canvas.panel("peak", "MiB", [(f"{r['case']}, {r['step']}", [r["peak_mib"]], f"of {r['memory_mib'] + result['allowance_mib']}", True)
                                 for r in result["runs"]], "{:.1f}")


def table_memory(result):
    lines = ["| | | --memory MiB | peak MiB | allowed MiB | seconds |", "|---|---|---|---|---|---|"]
    for r in result["runs"]:
        lines.append(f"| {r['case']} | {r['step']} | {r['memory_mib']} | {r['peak_mib']:.1f} | {r['memory_mib'] + result['allowance_mib']} | "
                     f"{r['seconds']:.1f} |")
    return lines


def beside_rows(beside):
    for name, rounds in beside["loaded"].items():
        holds = [sum(k) for k in zip(*(r["holds"] + [0] * (24 - len(r["holds"])) for r in rounds))]
        yield (name, rounds, [c for r in rounds for c in r["copies"]], [c for r in beside["idle"][name] for c in r["copies"]], holds)


def below(holds, part):
    """Milliseconds that so many of the holds stayed below; they are counted by powers of two."""
    seen = 0
    for k, count in enumerate(holds):
        seen += count
        if seen >= part * sum(holds):
            return f"{2 ** k / 1000:.1f}"
    return "-"


def draw_pagestore(canvas, result):
    canvas.heading("pagestore")
    if "commits" in result:
        for writers, tools in result["commits"].items():
            canvas.panel(f"durable commits, {writers} writer{'s' if writers != '1' else ''}", "commits a second",
                         [(n, [r["rate"] for r in rounds], "", n == "pagestore") for n, rounds in tools.items()], "{:.0f}")
    if "recovery" in result:
        for state, who in result["recovery"]["states"].items():
            canvas.panel(f"recovery from {result['recovery']['mib']:.0f} MiB of log, {state}", "MiB/s",
                         [(n, [result["recovery"]["mib"] / r["seconds"] for r in rounds], "", n == "recovery") for n, rounds in who.items()], "{:.0f}")
    if "beside" in result:
        canvas.panel(f"{result['writers']} writers beside a backup of {result['backup_mib']} MiB", "commits a second",
                     [(n, [r["rate"] for r in rounds], "", n.startswith("backup")) for n, rounds, *_ in beside_rows(result["beside"])], "{:.0f}")


def table_pagestore(result):
    lines = []
    if "commits" in result:
        lines += ["| writers | | durable commits/s | pagestore's / its | p50 ms | p99 ms | worst ms | peak MiB |", "|---|---|---|---|---|---|---|---|"]
        for writers, tools in result["commits"].items():
            first = writers
            for name, rounds in tools.items():
                ratios = [p["rate"] / r["rate"] for p, r in zip(tools["pagestore"], rounds) if r["rate"]]
                lines.append(f"| {first} | {name} | {spread([r['rate'] for r in rounds], '{:.0f}')} | "
                             f"{'-' if name == 'pagestore' else spread(ratios, '{:.2f}')} | {median([r['p50_ms'] for r in rounds]):.2f} | "
                             f"{median([r['p99_ms'] for r in rounds]):.1f} | {max(r['worst_ms'] for r in rounds):.0f} | "
                             f"{max(r['peak_kib'] for r in rounds) / 1024:.0f} |")
                first = ""
        lines.append("")
    if "recovery" in result:
        recovery = result["recovery"]
        lines += [f"| {recovery['mib']:.0f} MiB of log | | MiB/s | of the plain read | CPU s | peak MiB |", "|---|---|---|---|---|---|"]
        for state, who in recovery["states"].items():
            ratios = [p["seconds"] / r["seconds"] for r, p in zip(who["recovery"], who["plain read"])]
            for name, rounds in who.items():
                ours = name == "recovery"
                lines.append(f"| {state if ours else ''} | {name} | {spread([recovery['mib'] / r['seconds'] for r in rounds], '{:.0f}')} | "
                             f"{spread(ratios, '{:.2f}') if ours else '-'} | {one(median([r['cpu_seconds'] for r in rounds]) if ours else None, '{:.2f}')} | "
                             f"{one(max(r['peak_kib'] for r in rounds) / 1024 if ours else None, '{:.0f}')} |")
        lines.append("")
    if "beside" in result:
        beside = result["beside"]
        alone = beside["loaded"]["alone"]
        lines += [f"| {result['writers']} writers | commits/s | of alone | p50 ms | p99 ms | worst ms | copy MiB/s | idle MiB/s | holds | p50, p99, all below ms |",
                  "|---|---|---|---|---|---|---|---|---|---|"]
        for name, rounds, copies, idle, holds in beside_rows(beside):
            times = ", ".join(below(holds, part) for part in (0.5, 0.99, 1)) if sum(holds) else "-"
            lines.append(f"| {name} | {spread([r['rate'] for r in rounds], '{:.0f}')} | "
                         f"{median([r['rate'] / a['rate'] for r, a in zip(rounds, alone)]):.2f} | {median([r['p50_ms'] for r in rounds]):.1f} | "
                         f"{median([r['p99_ms'] for r in rounds]):.1f} | {max(r['worst_ms'] for r in rounds):.0f} | {spread(copies, '{:.0f}')} | "
                         f"{spread(idle, '{:.0f}')} | {sum(holds)} | {times} |")
        lines += ["", f"Largest memory of that process: {beside['peak_kib'] / 1024:.0f} MiB."]
    return lines


def table_machine(result):
    m = result["machine"]
    return [f"{m['processors']} x {m['processor']}, {m['memory_mib']} MiB memory, Linux {m['kernel']}, {m['file_system']}; {m['utc']}; "
            f"load before and after {m['load'][0]:.2f} and {m['load_after'][0]:.2f}."]


KINDS = {"compare-sqlite": (draw_sqlite, table_sqlite), "writers": (draw_writers, table_writers), "io": (draw_io, table_io),
         "memory": (draw_memory, table_memory), "pagestore": (draw_pagestore, table_pagestore)}


def fill(path, name, lines):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    block = begin + "\n" + "\n".join(lines) + "\n" + end
    text, count = re.subn(re.escape(begin) + ".*?" + re.escape(end), lambda _: block, text, flags=re.DOTALL)
    if count != 1:
        sys.exit(f"plot.py: {path} has no place for {name}: {begin} ... {end}")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("results", nargs="+", help="JSON of compare-sqlite, writers, io, memory, pagestore")
    parser.add_argument("--svg", help="write the plot there")
    parser.add_argument("--fill", help="fill in the tables of that Markdown file")
    given = parser.parse_args()
    canvas = drawing()
    found = {}
    for path in given.results:
        with open(path, encoding="utf-8") as f:
            result = json.load(f)
        found[result["scenario"]] = result
    for scenario, (draw, table) in KINDS.items():
        if scenario not in found:
            continue
        draw(canvas, found[scenario])
        lines = table_machine(found[scenario]) + [""] + table(found[scenario])
        if given.fill:
            fill(given.fill, scenario, lines)
        elif not given.svg:
            print("\n".join(lines) + "\n")
    if given.svg:
        with open(given.svg, "w", encoding="utf-8") as f:
            f.write(canvas.svg())


if __name__ == "__main__":
    main()
