#!/usr/bin/env python3
"""The table of docs/running.md from the answers of `meshplan run --json`.

    table.py layouts.txt FOLDER ROUNDS

FOLDER holds run.NUMBER.ROUND.json. The median round of each layout stands.
"""
import json
import pathlib
import statistics
import sys


def milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.0f} ms"


def main() -> None:
    layouts, folder, rounds = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
    lines = [line.split() for line in layouts.read_text().splitlines() if line[0] != "#"]
    errors, memory = [], []
    print("| model, batch | layout | mode | predicted | measured | error |")
    print("|---|---|---|---|---|---|")
    for number, (model, batch, mode, layout) in enumerate(lines, 1):
        runs = [json.loads((folder / f"run.{number}.{r}.json").read_text())
                for r in range(1, rounds + 1)]
        predicted = runs[0]["predicted"]["step_seconds"]
        measured = statistics.median_low([run["measured"]["step_seconds"] for run in runs])
        error = predicted / measured - 1
        errors.append(abs(error))
        memory += [abs(rank["error"]) for rank in runs[0]["memory"]]
        print(f"| {model}, {batch} | {layout} | {mode} | {milliseconds(predicted)} | "
              f"{milliseconds(measured)} | {100 * error:+.1f}% |")
    print(f"\nMedian {100 * statistics.median(errors):.1f}%, worst {100 * max(errors):.1f}%. "
          f"Memory of a rank: median {100 * statistics.median(memory):.1f}%, "
          f"worst {100 * max(memory):.1f}%.")


if __name__ == "__main__":
    main()
