#!/usr/bin/env python3
"""What `export` writes is what its readers take: bash parses the scripts, Python the snippets, json
and tomllib the rest, and argparse the flags.

    launch_files_test.py SOURCE_FOLDER MESHPLAN_BINARY
"""
import argparse
import ast
import json
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile

try:
    import tomllib
except ImportError:
    tomllib = None

TRAINING = ["--model", "llama-3-8b", "--cluster", "dgx-h100:1", "--seq-len", "4096",
            "--global-batch", "32"]
# Framework and a layout that it runs.
EXPORTS = [
    ("megatron", "tp2,pp2,dp2,mbs1,sp,vpp2,zero1,overlap=grad+param,recompute=full"),
    ("megatron", "tp2,pp2,dp2,mbs1,sp,stages=17-15,recompute=full"),
    ("megatron", "tp1,pp1,dp8,mbs1,zero3,recompute=selective"),
    ("deepspeed", "tp1,pp1,dp8,mbs1,zero3,recompute=full"),
    ("deepspeed", "tp2,pp4,dp1,mbs1,zero1,recompute=full"),
    ("torchtitan", "tp2,pp2,dp2,mbs1,sp,zero3,stages=17-15,recompute=selective"),
    ("fsdp", "tp1,pp1,dp8,mbs1,zero3,hsdp=2,recompute=selective"),
    ("pipelining", "tp1,pp4,dp2,mbs1,overlap=grad,recompute=full,schedule=zb-v"),
    ("pipelining", "tp1,pp4,dp2,mbs1,zero3,recompute=full"),
    ("gpipe", "tp1,pp8,dp1,mbs1,recompute=full,schedule=gpipe"),
    ("dataparallel", "tp1,pp1,dp8,mbs1"),
]

MIXTRAL = ["--model", "mixtral-8x7b", "--cluster", "dgx-h100:2", "--seq-len", "16384",
           "--global-batch", "64"]
DEEPSEEK = ["--model", "deepseek-v3", "--cluster", "dgx-h100:32", "--seq-len", "4096",
            "--global-batch", "512", "--dtype", "fp8"]
GPT2 = ["--model", "gpt2", "--cluster", "dgx-h100:1", "--seq-len", "1024", "--global-batch", "32",
        "--dtype", "fp16"]
# Other models: experts, cut sequences, unlike stages, tied embeddings.
OTHERS = [
    ("megatron", "tp2,pp2,dp2,mbs1,cp2,ep8,etp1,sp,zero1,overlap=grad+param+tp", MIXTRAL),
    ("megatron", "tp2,pp1,dp4,mbs1,cp2,ep4,sp,zero3,hsdp=2,cp_kind=ulysses", MIXTRAL),
    ("megatron", "tp4,pp16,dp4,mbs1,ep16,etp1,sp,zero1,stages=3-4-4-4-4-4-4-4-4-4-4-4-4-4-4-2",
     DEEPSEEK),
    ("megatron", "tp2,pp2,dp2,mbs1,vpp3,zero1", GPT2),
    ("torchtitan", "tp2,pp1,dp4,mbs1,cp2,ep4,etp1,sp,zero3", MIXTRAL),
    ("torchtitan", "tp1,pp2,dp8,mbs2,zero2,overlap=grad+param,schedule=zb-v", MIXTRAL),
    ("deepspeed", "tp1,pp1,dp16,mbs1,zero3,hsdp=2,offload=optimizer", MIXTRAL),
    ("fsdp", "tp1,pp1,dp8,mbs1,zero2,overlap=grad+param,recompute=full", GPT2),
]

# The same of plans that serve, made from a plan that trains.
SERVING = [
    ("vllm", "tp4,pp2,dp1,stages=20-12"),
    ("vllm", "tp4,pp1,dp2"),
    ("tensorrt-llm", "tp4,pp2,dp1,stages=20-12"),
    ("tensorrt-llm", "tp4,pp1,dp2"),
    ("sglang", "tp4,pp2,dp1,stages=20-12"),
    ("sglang", "tp4,pp1,dp2"),
    ("tgi", "tp8,pp1,dp1"),
    ("tgi", "tp4,pp1,dp2"),
]
REQUESTS = {"kind": "inference", "prompt": 1024, "output": 256, "dtype": "bf16", "concurrency": 64}


def flags_of(script, program):
    """Words after `program` in the one command of a script that runs it."""
    joined = script.replace("\\\n", " ")
    for line in joined.splitlines():
        if not line.startswith("#") and program in line:
            return shlex.split(line.split(program, 1)[1])
    raise AssertionError(f"no command runs {program}")


def check_megatron(text, root):
    check_shell(text)
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for key in (root / "tests/planner/export/keys/megatron.txt").read_text().split("\n"):
        if key.startswith("--"):
            parser.add_argument(key, nargs="*")
    values = parser.parse_args([w for w in flags_of(text, "pretrain_gpt.py") if w != "$@"])
    assert values.tensor_model_parallel_size[0].isdigit()


def check_deepspeed(text, _):
    document = json.loads(text)
    steps = document["gradient_accumulation_steps"]
    assert document["train_batch_size"] % (steps * document["train_micro_batch_size_per_gpu"]) == 0
    if "pipeline" in document:
        ast.parse(document["_meshplan"]["pipeline_module"])


def check_torchtitan(text, _):
    if tomllib is None:
        return
    degrees = tomllib.loads(text)["parallelism"]
    parts = degrees.get("module_fqns_per_model_part", [])
    layers = [m for part in parts for m in part if m.startswith("layers.")]
    if parts:
        assert layers == [f"layers.{i}" for i in range(len(layers))], layers


def check_shell(text):
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", "-"], input=text, text=True, check=True)


def check_script(text, _):
    check_shell(text)
    if "<<'END'" in text:
        json.loads(text.split("<<'END'\n")[1].split("\nEND\n")[0])


def check_python(text, _):
    ast.parse(text)


CHECKS = {"megatron": check_megatron, "deepspeed": check_deepspeed,
          "torchtitan": check_torchtitan, "vllm": check_script, "tensorrt-llm": check_script,
          "sglang": check_script, "tgi": check_script}


def main():
    root, binary = pathlib.Path(sys.argv[1]), sys.argv[2]
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        plan = pathlib.Path(folder) / "plan.json"
        cases = [(*case, TRAINING) for case in EXPORTS + SERVING] + OTHERS
        for framework, layout, question in cases:
            serves = (framework, layout) in SERVING
            # Exit code 1 says that it does not fit, which is of no account here.
            subprocess.run([binary, "predict", *question, "--layout",
                            "tp8,pp1,dp1,mbs1" if serves else layout, "--out", plan],
                           capture_output=True, check=False)
            if serves:
                document = json.loads(plan.read_text())
                document["workload"] = REQUESTS
                document["plans"][0]["layout"] = layout
                plan.write_text(json.dumps(document))
            run = subprocess.run([binary, "export", plan, "--to", framework], capture_output=True,
                                 text=True, check=False)
            try:
                assert run.returncode == 0, run.stderr
                CHECKS.get(framework, check_python)(run.stdout, root)
            except (AssertionError, SyntaxError, ValueError, subprocess.CalledProcessError,
                    SystemExit) as error:
                failures += 1
                print(f"{framework} {layout}: {error}")
    print(f"{len(cases)} launch files, {failures} failures")
    return 1 if failures else 0


sys.exit(main())
