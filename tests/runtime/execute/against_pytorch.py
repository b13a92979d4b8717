#!/usr/bin/python3
"""The tiny GPT-2 and Llama models in PyTorch: the same parameters and tokens give the same loss and
the same gradient of every tensor as meshplan's own runtime.

    against_pytorch.py EXPORT_TRAINING

EXPORT_TRAINING = the program export_training. Exits 77, for "skipped", without PyTorch.
"""
import json
import subprocess
import sys

try:
    import torch
    from torch.nn import functional
except ImportError as error:
    print(f"skipped: {error} (Debian: python3-torch)")
    sys.exit(77)

# Sums of a few hundred fp32 products in another order.
TOLERANCE = 1e-5


def rotated(x):
    """x [sequence, heads, head_dim], halves of a head paired (GPT-NeoX, Llama)."""
    length, _, dim = x.shape
    angles = torch.outer(torch.arange(length, dtype=torch.float64),
                         10000.0 ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim))
    cosine, sine = (f(angles).float()[:, None, :] for f in (torch.cos, torch.sin))
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)


class Model:
    """Written from the papers, with PyTorch's own norms, activations and softmax."""

    def __init__(self, facts, parameters):
        self.facts, self.p = facts, parameters
        self.gpt = facts["family"] == "gpt"

    def product(self, x, name):
        y = x @ self.p[name]
        return y + self.p[name + " bias"][0] if name + " bias" in self.p else y

    def norm(self, x, name):
        gain = self.p[name][0]
        if self.gpt:
            return functional.layer_norm(x, gain.shape, gain, self.p[name + " shift"][0], 1e-5)
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5) * gain

    def attention(self, x, layer):
        length, heads = x.shape[0], self.facts["heads"]
        kv_heads, dim = self.facts["kv_heads"], self.facts["head_dim"]
        query = self.product(x, layer + "query").view(length, heads, dim)
        key = self.product(x, layer + "key").view(length, kv_heads, dim)
        value = self.product(x, layer + "value").view(length, kv_heads, dim)
        if not self.gpt:
            query, key = rotated(query), rotated(key)
        key, value = (t.repeat_interleave(heads // kv_heads, dim=1) for t in (key, value))
        scores = torch.einsum("qhd,khd->hqk", query, key) / dim**0.5
        scores = scores.masked_fill(torch.ones(length, length).triu(1).bool(), float("-inf"))
        mixed = torch.einsum("hqk,khd->qhd", scores.softmax(-1), value)
        return self.product(mixed.reshape(length, heads * dim), layer + "projection")

    def mlp(self, x, layer):
        up = self.product(x, layer + "up")
        if self.gpt:
            # The tanh form, which GPT-2 was trained with.
            active = 0.5 * up * (1 + torch.tanh((2 / torch.pi)**0.5 * (up + 0.044715 * up**3)))
        else:
            active = functional.silu(self.product(x, layer + "gate")) * up
        return self.product(active, layer + "down")

    def loss(self, text):
        """The mean over the tokens of one sequence, one longer than what is seen."""
        x = self.p["token table"][text[:-1]]
        if self.gpt:
            x = x + self.p["positions"][:len(text) - 1]
        for index in range(self.facts["layers"]):
            layer = f"layer {index} "
            x = x + self.attention(self.norm(x, layer + "norm 1"), layer)
            x = x + self.mlp(self.norm(x, layer + "norm 2"), layer)
        x = self.norm(x, "final norm")
        classes = self.p["token table"] if self.gpt else self.p["head"]
        return functional.cross_entropy(x @ classes.T, text[1:])


def check(program, family):
    facts = json.loads(subprocess.run([program, family], check=True, capture_output=True).stdout)

    def tensor(entry):
        return torch.tensor(entry["values"], dtype=torch.float32).view(entry["rows"], entry["cols"])

    parameters = {name: tensor(entry).requires_grad_() for name, entry in
                  facts["parameters"].items()}
    model = Model(facts, parameters)
    texts = torch.tensor(facts["tokens"])
    loss = torch.stack([model.loss(text) for text in texts]).mean()
    loss.backward()
    off = abs(loss.item() / facts["loss"] - 1)
    assert off <= TOLERANCE, f"{family}: loss {loss.item()} here, {facts['loss']} there"
    assert facts["gradients"].keys() == parameters.keys(), "not the same tensors"
    # Softmax ignores the bias of a key: its gradient is zero but for rounding.
    least = 1e-4 * max(parameter.grad.abs().max().item() for parameter in parameters.values())
    worst = 0.0
    for name, entry in facts["gradients"].items():
        own, theirs = parameters[name].grad, tensor(entry)
        apart = (own - theirs).abs().max().item() / max(least, own.abs().max().item())
        assert apart <= TOLERANCE, f"{family}: gradient of {name} is off by {apart:.1e}"
        worst = max(worst, apart)
    print(f"{family}: loss {facts['loss']:.6f}, off by {off:.1e}; {len(parameters)} gradients, "
          f"off by at most {worst:.1e} of their largest element")


torch.manual_seed(0)
torch.set_num_threads(1)
for each in ("gpt", "llama"):
    check(sys.argv[1], each)
