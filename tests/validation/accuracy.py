#!/usr/bin/env python3
"""The tables of docs/accuracy.md and docs/inference.md, as `meshplan evaluate` measures them today.

    MESHPLAN_DATA=FOLDER tests/validation/accuracy.py [MESHPLAN]

Rewrites what stands between `<!-- table: NAME -->` and the next `<!-- end -->`. MESHPLAN is the
program, build/release/meshplan unless given. FOLDER holds the recorded runs (runs_SOURCE.json).
"""
import json
import math
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = ["megatron-a100", "vtrain", "simumax-b200", "zero-bubble", "nemo-h100", "mosaic",
           "megatron-bridge", "nanotron"]
HALVES = {"fitted": "fitted", "held": "held out"}


def percent(value: float, sign: bool = False) -> str:
    return f"{100 * value:{'+' if sign else ''}.1f}%"


def evaluate(program: str, file: pathlib.Path, half: str) -> dict:
    answer = subprocess.run([program, "evaluate", file, "--half", half, "--json"],
                            check=True, capture_output=True, text=True)
    return json.loads(answer.stdout)


def row(cells: list) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def table(head: list, rows: list) -> str:
    return "\n".join([row(head), "|" + "---|" * len(head), *map(row, rows)])


def correlation(scores: dict, digits: int = 2) -> str:
    return f"{scores['mean']:.{digits}f} ({scores['groups']})" if scores["groups"] else "-"


def training_row(source: str, half: str, e: dict) -> list:
    time, memory, fits = e["time"], e["memory"], e["feasibility"]
    return [source, half, time["predicted"], percent(time["mean"]), percent(time["median"]),
            percent(time["p95"]), percent(time["bias"], True),
            percent(e["time_competitive"]["mean"]),
            f"{percent(memory['mean'])} ({percent(memory['bias'], True)})" if memory["predicted"]
            else "-",
            f"{percent(fits['accuracy'])} of {fits['runs']}",
            correlation(e["rank_correlation"]),
            percent(e["regret"]["mean"]) if e["regret"]["groups"] else "-",
            percent(e["coverage"]), f"{e['interval_width']['mean']:.2f}"]


def worst_rows(source: str, halves: list) -> list:
    runs = [run for e in halves for run in e["runs"] if "error" in run]
    runs.sort(key=lambda run: -abs(math.log1p(run["error"])))
    return [[source, run["id"], f"{run['measured_seconds']:.3g}",
             f"{run['predicted_seconds']:.3g}", percent(run["error"], True)] for run in runs[:3]]


def pairs_table(evaluated: dict) -> str:
    """`evaluated`: by source and half. One source holds nearly all pairs: the others by themselves."""
    gaps = {0: "0 to 2%", 0.02: "2 to 5%", 0.05: "5 to 10%", 0.1: "10 to 25%", 0.25: "more"}
    rows = []
    for label, mine in [("nanotron", lambda s: s == "nanotron"),
                        ("all others", lambda s: s != "nanotron")]:
        for half in HALVES:
            entries = [entry for source, halves in evaluated.items() if mine(source)
                       for entry in halves[half]["pairs"]]
            cells = [label, half]
            for low in gaps:
                here = [entry for entry in entries if entry["gap_low"] == low]
                count = sum(entry["pairs"] for entry in here)
                right, expected = (sum(entry["pairs"] * entry[key] for entry in here) / count
                                   if count else 0 for key in ("right", "expected"))
                cells.append(f"{100 * right:.0f}% ({100 * expected:.0f}%) of {count}" if count
                             else "-")
            rows.append(cells)
    return table(["source", "half", *gaps.values()], rows)


def training_tables(program: str, data: pathlib.Path) -> dict:
    scores, worst, evaluated = [], [], {}
    for source in SOURCES:
        halves = {half: evaluate(program, data / f"runs_{source}.json", half) for half in HALVES}
        evaluated[source] = halves
        scores += [training_row(source, half, e) for half, e in halves.items()
                   if e["time"]["predicted"]]
        worst += worst_rows(source, list(halves.values()))
    return {
        "runs": table(["source", "half", "runs", "mean", "median", "p95", "bias", "competitive",
                       "memory mean (bias)", "fits right", "rank corr.", "regret mean",
                       "in interval", "width"], scores),
        "worst": table(["source", "run", "measured s", "predicted s", "error"], worst),
        "pairs": pairs_table(evaluated),
    }


def serving_table(program: str, data: pathlib.Path) -> dict:
    halves = {half: evaluate(program, data / "runs_inference.json", half) for half in HALVES}
    rows = []
    for key, label in [("tpot", "TPOT"), ("throughput", "offline throughput"), ("ttft", "TTFT")]:
        for half, name in HALVES.items():
            e = halves[half][key]
            cells = [label, name, e["predicted"], percent(e["median"]), percent(e["mean"]),
                     percent(e["bias"], True), correlation(e["rank_correlation"])]
            if "coverage" in e:
                cells += [percent(e["coverage"]), f"{e['interval_width']['mean']:.2f}"]
            rows.append(cells)
    head = ["quantity", "half", "results", "median error", "mean", "bias",
            "rank correlation (groups)"]
    if len(rows[0]) > len(head):
        head += ["in interval", "width"]
    return {"serving": table(head, rows)}


def rewrite(page: pathlib.Path, tables: dict) -> None:
    text = page.read_text()
    for name, new in tables.items():
        marked = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, found = marked.subn(lambda m: m.group(1) + new + "\n" + m.group(2), text)
        if found != 1:
            sys.exit(f"{page}: expected one '<!-- table: {name} -->', found {found}")
    page.write_text(text)


def main() -> None:
    data = os.environ.get("MESHPLAN_DATA")
    if not data:
        print("accuracy.py: expected MESHPLAN_DATA=FOLDER of recorded runs, found none",
              file=sys.stderr)
        sys.exit(2)
    program = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "build/release/meshplan")
    rewrite(ROOT / "docs/accuracy.md", training_tables(program, pathlib.Path(data)))
    rewrite(ROOT / "docs/inference.md", serving_table(program, pathlib.Path(data)))


if __name__ == "__main__":
    main()
