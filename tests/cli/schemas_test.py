#!/usr/bin/env python3
"""Every file that is shipped, written or used as a seed is valid under its schema in docs/schemas,
and a key that no schema knows is refused by the schema, as the readers refuse it.

    schemas_test.py SOURCE_FOLDER MESHPLAN_BINARY
"""
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    from jsonschema import Draft202012Validator
except ImportError:
    print("python3-jsonschema is not installed: skipped")
    sys.exit(77)

# Folders of profiles/data whose files carry a schema; models are Hugging Face's config.json.
SHIPPED = ["clusters", "collectives", "devices", "engines", "frameworks", "profiles", "rules"]
# Fuzzers' seeds that are whole documents of a schema.
SEEDS = ["baseline", "cluster", "device", "device_profile", "engine", "framework", "measurement", "nccl_constants", "plan",
         "runs", "serving", "suite"]
QUESTION = ["--model", "gpt2", "--cluster", "dgx-h100:1/2", "--seq-len", "1024",
            "--global-batch", "8"]
SERVING = ["--inference", "--model", "llama-3.1-8b", "--cluster", "dgx-h100:1/2", "--prompt", "200",
           "--output", "50"]


def kind_of(document):
    """"cluster" of "meshplan.cluster/1"."""
    return document["schema"].split(".", 1)[1].split("/")[0]


def written_documents(binary):
    """What the command prints and writes."""
    commands = {
        "plan": ["plan", *QUESTION, "--top", "2"],
        "predict": ["predict", *QUESTION, "--layout", "tp2,pp1,dp1,mbs1,sp"],
        "what if": ["plan", *QUESTION, "--top", "1", "--set", "device.memory_bytes=40e9"],
        "how many": ["plan", *QUESTION, "--tokens", "1e9", "--deadline-days", "1",
                     "--dollars-per-gpu-hour", "2"],
        "never enough": ["plan", *QUESTION, "--tokens", "1e15", "--deadline-days", "1"],
        "serve": ["plan", *SERVING],
        "serve one layout": ["predict", *SERVING, "--concurrency", "8", "--layout", "tp2,pp1,dp1"],
        "explain": ["explain", *QUESTION, "--layout", "tp2,pp1,dp1,mbs1,sp"],
        "explain an illegal layout": ["explain", *QUESTION, "--layout", "tp5,pp3,dp2,mbs3"],
        "explain what nothing mends": ["explain", "--model", "gpt3-175b", *QUESTION[2:],
                                       "--layout", "tp2,pp1,dp1,mbs1,sp"],
        "nothing fits": ["plan", "--model", "gpt3-175b", *QUESTION[2:]],
    }
    for name, command in commands.items():
        run = subprocess.run([binary, *command, "--json"], capture_output=True, check=False)
        yield f"{name} --json", json.loads(run.stdout)
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "plan.json"
        subprocess.run([binary, *commands["plan"], "--out", file], capture_output=True, check=True)
        yield "plan --out", json.loads(file.read_text())
        model = pathlib.Path(folder) / "tiny.json"
        model.write_text(json.dumps({"model_type": "gpt2", "n_layer": 2, "n_embd": 32, "n_head": 4,
                                     "n_positions": 16, "vocab_size": 61}))
        serving, served = pathlib.Path(folder) / "serving.json", pathlib.Path(folder) / "served.json"
        subprocess.run([binary, "predict", "--inference", "--model", model, "--cluster", "localhost",
                        "--dtype", "fp32", "--engine", "embedded", "--prompt", "6", "--output", "4",
                        "--batch", "2", "--layout", "tp1,pp1,dp1", "--out", serving],
                       capture_output=True, check=True)
        run = subprocess.run([binary, "run", serving, "--steps", "2", "--json", "--out", served],
                             capture_output=True, check=True)
        yield "run of a serving plan --json", json.loads(run.stdout)
        yield "run of a serving plan --out", json.loads(served.read_text())


def main():
    root, binary = pathlib.Path(sys.argv[1]), sys.argv[2]
    validators = {}
    for path in sorted((root / "docs" / "schemas").glob("*.schema.json")):
        schema = json.loads(path.read_text())
        Draft202012Validator.check_schema(schema)
        validators[path.name.split(".")[0]] = Draft202012Validator(schema)

    documents = list(written_documents(binary))
    for folder in [root / "profiles" / "data" / name for name in SHIPPED] + [
            root / "tests" / "fuzz" / "seeds" / name for name in SEEDS]:
        for path in sorted(folder.glob("*.json")):
            documents.append((str(path.relative_to(root)), json.loads(path.read_text())))

    failures = 0
    for name, document in documents:
        validator = validators[kind_of(document)]
        for error in validator.iter_errors(document):
            failures += 1
            print(f"{name}#/{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}")
        # Recorded runs may say more than is read.
        if kind_of(document) != "runs" and validator.is_valid({**document, "no_such_key": 1}):
            failures += 1
            print(f"{name}: the schema lets an unknown key pass")
    print(f"{len(documents)} documents, {len(validators)} schemas, {failures} failures")
    return 1 if failures else 0


sys.exit(main())
