#!/usr/bin/env python3
"""The table of docs/running.md from the answers of `meshplan run --json` to plans that serve.

    serving_table.py serving_layouts.txt FOLDER

FOLDER holds served.NUMBER.json.
"""
import json
import pathlib
import statistics
import sys


def milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.1f} ms"


def main() -> None:
    layouts, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    lines = [line.split() for line in layouts.read_text().splitlines() if line[0] != "#"]
    errors = {"decode_step": [], "prompt_step": []}
    print("| model | layout | mode | decoding step: predicted | measured | error "
          "| prompts: predicted | measured | error |")
    print("|---|---|---|---|---|---|---|---|---|")
    for number, (model, mode, layout) in enumerate(lines, 1):
        answer = json.loads((folder / f"served.{number}.json").read_text())
        cells = [model, layout, mode]
        for step, seen in errors.items():
            predicted = answer["predicted"][step]["step_seconds"]
            measured = answer["measured"][step]["step_seconds"]
            error = predicted / measured - 1
            seen.append(abs(error))
            cells += [milliseconds(predicted), milliseconds(measured), f"{100 * error:+.1f}%"]
        print("| " + " | ".join(cells) + " |")
    decoding, prompts = (errors[step] for step in ("decode_step", "prompt_step"))
    print(f"\nDecoding: median {100 * statistics.median(decoding):.1f}%, worst "
          f"{100 * max(decoding):.1f}%. Prompts: median {100 * statistics.median(prompts):.1f}%, "
          f"worst {100 * max(prompts):.1f}%.")


if __name__ == "__main__":
    main()
