#!/usr/bin/env python3
"""Our forward and backward over PyTorch's: the same layers, in one run on one GPU.

For each model of --models: `meshplan run` of one rank gives the median of its Forward and Backward
instructions (layers, embedding, head and loss); PyTorch trains the same shapes with scaled dot
product attention, compiled and not. Both in the data type of --dtype, without the optimizer.
A ratio below 1 says that ours is faster. Nothing here is tuned for either side.
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile

import torch
from torch import nn
from torch.nn import functional as F


class Layer(nn.Module):
    """A layer of GPT (layer norm, GELU) or Llama (RMS norm, SwiGLU, rotary positions)."""

    def __init__(self, shape):
        super().__init__()
        h, d = shape["hidden"], shape["head_dim"]
        self.shape = shape
        bias = shape["gpt"]
        norm = nn.LayerNorm if shape["gpt"] else nn.RMSNorm
        self.norm1, self.norm2 = norm(h), norm(h)
        self.qkv = nn.Linear(h, (shape["heads"] + 2 * shape["kv_heads"]) * d, bias=bias)
        self.projection = nn.Linear(shape["heads"] * d, h, bias=bias)
        self.up = nn.Linear(h, shape["ffn"] * (1 if shape["gpt"] else 2), bias=bias)
        self.down = nn.Linear(shape["ffn"], h, bias=bias)

    def forward(self, x, cosine, sine):
        s = self.shape
        batch, length, _ = x.shape
        d = s["head_dim"]
        qkv = self.qkv(self.norm1(x)).view(batch, length, s["heads"] + 2 * s["kv_heads"], d)
        q, k, v = qkv.split([s["heads"], s["kv_heads"], s["kv_heads"]], dim=2)
        if not s["gpt"]:
            q, k = rotated(q, cosine, sine), rotated(k, cosine, sine)
        attended = F.scaled_dot_product_attention(
            q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), is_causal=True,
            enable_gqa=s["kv_heads"] != s["heads"])
        x = x + self.projection(attended.transpose(1, 2).reshape(batch, length, -1))
        up = self.up(self.norm2(x))
        if s["gpt"]:
            active = F.gelu(up, approximate="tanh")
        else:
            gate, value = up.chunk(2, dim=-1)
            active = F.silu(gate) * value
        return x + self.down(active)


def rotated(x, cosine, sine):
    low, high = x.chunk(2, dim=-1)
    return torch.cat([low * cosine - high * sine, high * cosine + low * sine], dim=-1)


class Model(nn.Module):
    def __init__(self, shape, length):
        super().__init__()
        self.shape = shape
        self.table = nn.Embedding(shape["vocab"], shape["hidden"])
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape["layers"]))
        self.norm = (nn.LayerNorm if shape["gpt"] else nn.RMSNorm)(shape["hidden"])
        self.head = nn.Linear(shape["hidden"], shape["vocab"], bias=False)
        half = shape["head_dim"] // 2
        angles = torch.outer(torch.arange(length).float(),
                             10000.0 ** (-torch.arange(half).float() / half))
        self.register_buffer("cosine", angles.cos()[None, :, None, :], persistent=False)
        self.register_buffer("sine", angles.sin()[None, :, None, :], persistent=False)

    def forward(self, tokens, targets):
        x = self.table(tokens)
        for layer in self.layers:
            x = layer(x, self.cosine.to(x.dtype), self.sine.to(x.dtype))
        logits = self.head(self.norm(x)).float()
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def shape_of(config):
    if config["model_type"] == "gpt2":
        h, heads = config["n_embd"], config["n_head"]
        return {"gpt": True, "hidden": h, "heads": heads, "kv_heads": heads,
                "head_dim": h // heads, "ffn": 4 * h, "layers": config["n_layer"],
                "vocab": config["vocab_size"]}
    h, heads = config["hidden_size"], config["num_attention_heads"]
    return {"gpt": False, "hidden": h, "heads": heads,
            "kv_heads": config["num_key_value_heads"], "head_dim": h // heads,
            "ffn": config["intermediate_size"], "layers": config["num_hidden_layers"],
            "vocab": config["vocab_size"]}


def pytorch_seconds(shape, batch, length, dtype, compiled, rounds=15):
    """Median of forward plus backward."""
    torch.manual_seed(1)
    model = Model(shape, length).to("cuda", dtype)
    run = torch.compile(model) if compiled else model
    tokens = torch.randint(shape["vocab"], (batch, length), device="cuda")
    targets = torch.randint(shape["vocab"], (batch, length), device="cuda")
    times = []
    for i in range(rounds + 5):
        model.zero_grad(set_to_none=False)
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        run(tokens, targets).backward()
        end.record()
        torch.cuda.synchronize()
        if i >= 5:
            times.append(begin.elapsed_time(end) * 1e-3)
    return statistics.median(times)


def our_seconds(meshplan, config, batch, length, dtype):
    """Median Forward plus median Backward of one micro-batch on one rank."""
    with tempfile.TemporaryDirectory() as folder:
        plan, out = os.path.join(folder, "plan.json"), os.path.join(folder, "out.json")
        subprocess.run([meshplan, "predict", "--model", config, "--cluster", "dgx-h200:1/1",
                        "--layout", f"tp1,pp1,dp1,mbs{batch}", "--seq-len", str(length),
                        "--global-batch", str(batch), "--dtype", dtype, "--framework", "embedded",
                        "--out", plan], check=False, stdout=subprocess.DEVNULL, timeout=100)
        subprocess.run([meshplan, "run", plan, "--backend", "cuda", "--steps", "12", "--no-check",
                        "--out", out], check=True, stdout=subprocess.DEVNULL, timeout=200)
        with open(out) as file:
            instructions = json.load(file)["instructions"]
    return sum(i["median_seconds"] for i in instructions if i["action"] in ("forward", "backward"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--meshplan", required=True)
    parser.add_argument("--models", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--dtype", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--seq-len", type=int, default=2048)
    options = parser.parse_args()
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[options.dtype]
    # Exact fp32 on both sides: no tf32.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False

    rows = []
    for file in sorted(os.listdir(options.models)):
        path = os.path.join(options.models, file)
        with open(path) as config:
            shape = shape_of(json.load(config))
        row = {"model": file[: -len(".json")], "dtype": options.dtype, "batch": options.batch,
               "seq_len": options.seq_len}
        try:
            row["pytorch_seconds"] = pytorch_seconds(shape, options.batch, options.seq_len, dtype,
                                                     False)
            row["pytorch_compiled_seconds"] = pytorch_seconds(shape, options.batch,
                                                              options.seq_len, dtype, True)
            torch.cuda.empty_cache()
            row["meshplan_seconds"] = our_seconds(options.meshplan, path, options.batch,
                                                  options.seq_len, options.dtype)
            row["ours_over_compiled"] = row["meshplan_seconds"] / row["pytorch_compiled_seconds"]
        except Exception as error:  # one shape that fails leaves the others
            row["failed"] = str(error).splitlines()[0] if str(error) else type(error).__name__
        rows.append(row)
        print(row, flush=True)
        with open(options.out, "w") as out:
            json.dump({"device": torch.cuda.get_device_name(), "torch": torch.__version__,
                       "rows": rows}, out, indent=1)


if __name__ == "__main__":
    main()
