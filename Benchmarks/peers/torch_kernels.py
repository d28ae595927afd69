"""What `KernelBenchmark` times, as a careful PyTorch user would write it, to be compared with it.

    python3 Benchmarks/peers/torch_kernels.py [--compile] [--only connection]

Prints a JSON line for each pass of each task, with the names, shapes and passes of KernelBenchmark: median seconds.
With --compile each task is compiled by itself, for its shape alone.
"""

import argparse
import json
import statistics
import time

import torch
import torch.nn.functional as F

D, FEED, HEADS, HEAD, ROWS, LENGTH, EPS = 256, 704, 4, 64, 8, 256, 1e-6


def coefficients(h, static, scale, maps, gain):
    return static + scale * torch.tanh(F.linear(F.rms_norm(h, gain.shape, gain, EPS), maps * h.shape[-1] ** -0.5))


def read(m, h, static, scale, maps, gain):
    alpha = coefficients(h, static[:, :m], scale[:, :m], maps[:m], gain)
    return (alpha.transpose(-1, -2) @ h).flatten(-2)


def write(m, h, y, static, scale, maps, gain):
    carry, beta = coefficients(h, static, scale, maps, gain).split([static.shape[1] - m, m], -1)
    return carry.transpose(-1, -2) @ h + beta @ y.unflatten(-1, (m, -1))


def write_and_read(m, h, y, static, scale, maps, gain, *following):
    state = write(m, h, y, static[:, m:], scale[:, m:], maps[m:], gain)
    return state, read(m, state, *following)


def connection(m, h, static, scale, maps, gain):
    n = h.shape[-2]
    alpha, beta = coefficients(h, static, scale, maps, gain).split([m + n, m], -1)
    mixed = alpha.transpose(-1, -2) @ h
    y = mixed[..., :m, :].flatten(-2)  # an identity sublayer
    return mixed[..., m:, :] + beta @ y.unflatten(-1, (m, -1))


def rotary(x, gain, cosine, sine):
    x = F.rms_norm(x, gain.shape, gain, EPS)
    a, b = x.chunk(2, -1)
    return x * cosine + torch.cat([-b, a], -1) * sine


def swiglu(x, up, down):
    gate, value = F.linear(x, up).chunk(2, -1)
    return F.linear(F.silu(gate) * value, down)


def attention(q, k, v):
    return F.scaled_dot_product_attention(*(x.transpose(1, 2) for x in (q, k, v)), is_causal=True).transpose(1, 2)


def experts(chosen, x, shares, up, down):
    experts, k = len(up), shares.shape[1]
    order = chosen.flatten().argsort(stable=True)
    rows = x[order // k].split(torch.bincount(chosen.flatten(), minlength=experts).tolist())
    outputs = torch.cat([swiglu(*each) for each in zip(rows, up, down)])
    return torch.zeros_like(x).index_add(0, order // k, outputs * shares.flatten()[order, None])


def group_norm(x, weight, bias):
    return F.group_norm(x.flatten(0, 1), 8, weight, bias, EPS).view(x.shape)


def leaves(*shapes):
    return [torch.randn(shape, requires_grad=True) for shape in shapes]


def connection_weights(m, n, C):
    deviations = {(n, 2 * m + n): 0.2, (2 * m + n, C): 0.5, (C,): 1}
    shapes = [(n, 2 * m + n), (n, 2 * m + n), (2 * m + n, C), (C,)]
    return [(torch.randn(shape) * deviations[shape]).requires_grad_() for shape in shapes]


def connection_tasks(m, n, tokens, names):
    C, shape = D // m, f"({m}, {n})"

    def state():
        return leaves((1, tokens, n, C))

    if "read" in names:
        yield "read", shape, tokens, ["forward"], lambda *x: read(m, *x), state() + connection_weights(m, n, C)
    if "write and read" in names:
        inputs = state() + leaves((1, tokens, D)) + connection_weights(m, n, C) + connection_weights(m, n, C)
        yield "write and read", shape, tokens, ["forward", "backward"], lambda *x: write_and_read(m, *x), inputs
    if "connection" in names:
        inputs = state() + connection_weights(m, n, C)
        yield "connection", shape, tokens, ["forward", "backward"], lambda *x: connection(m, *x), inputs


def layer_tasks():
    passes, tokens = ["forward", "backward"], ROWS * LENGTH
    yield ("RMSNorm", f"{D}", tokens, passes, lambda x, w: F.rms_norm(x, w.shape, w, EPS), leaves((ROWS, LENGTH, D), (D,)))
    yield ("GroupNorm", f"8 × {D}", tokens, passes, group_norm, leaves((ROWS, LENGTH, 8 * D), (8 * D,), (8 * D,)))
    angles = torch.randn(1, LENGTH, 1, HEAD)
    cosine, sine = angles.cos(), (angles * 0.7).cos()
    yield ("query norm and rotation", f"{HEADS} × {HEAD}", tokens, passes, lambda x, w: rotary(x, w, cosine, sine),
           leaves((ROWS, LENGTH, HEADS, HEAD), (HEAD,)))
    yield ("causal attention", f"{HEADS} × {HEAD}", tokens, passes, attention, leaves(*[(ROWS, LENGTH, HEADS, HEAD)] * 3))
    chosen = torch.rand(tokens, 8).topk(2).indices
    yield ("experts", f"2 of 8 × ({D} → {FEED // 2} → {D})", tokens, passes, lambda *x: experts(chosen, *x),
           leaves((tokens, D), (tokens, 2), (8, FEED, D), (8, D, FEED // 2)))
    yield ("SwiGLU", f"{D} → {FEED} → {D}", tokens, passes, swiglu, leaves((ROWS, LENGTH, D), (2 * FEED, D), (D, FEED)))
    for inputs, outputs in [(D, D), (D, FEED), (FEED, D), (8 * D, D)]:
        yield "linear", f"{inputs} → {outputs}", tokens, passes, F.linear, leaves((ROWS, LENGTH, inputs), (outputs, inputs))
    for vocabulary in [4096, 32768]:
        targets = torch.randint(0, vocabulary, (ROWS * LENGTH,))
        yield ("head and cross-entropy", f"{D} → {vocabulary}", tokens, ["both"],
               lambda x, w, t=targets: F.cross_entropy(F.linear(x, w).flatten(0, 1), t),
               leaves((ROWS, LENGTH, D), (vocabulary, D)))


def flat_tasks():
    x, weight = [torch.randn(rows, 2048) for rows in (1, 4, 16)], torch.randn(8192, 2048)
    for rows in x:
        yield "skinny GEMM", "2048 → 8192", len(rows), ["forward"], torch.no_grad()(F.linear), [rows, weight]
    weights = leaves(*[(1024, 1024)] * 8)
    for leaf in weights:
        leaf.grad = torch.randn_like(leaf)
    norm = torch.no_grad()(lambda *x: torch.nn.utils.get_total_norm([leaf.grad for leaf in x]))
    yield "gradient norm", "8 × 1024 × 1024", 0, ["step"], norm, weights
    optimizer = torch.optim.AdamW(weights, lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    yield "AdamW", "8 × 1024 × 1024", 0, ["step"], lambda *x: optimizer.step(), weights


def tasks():
    for m, n in [(2, 3), (4, 8), (4, 16), (4, 32), (8, 64)]:
        yield from connection_tasks(m, n, 2048, ["read", "write and read", "connection"])
    for tokens in [512, 1024, 4096, 8192, 16384, 32768]:
        yield from connection_tasks(4, 16, tokens, ["connection"])
    yield from layer_tasks()
    yield from flat_tasks()


def measure(passes, function, inputs):
    """The median seconds of each pass, over at least five runs after two warm-up runs; more for short passes."""
    found = function(*inputs)
    upstream = [torch.randn_like(y) for y in (found if isinstance(found, tuple) else (found,)) if y is not None]

    def run():
        start = time.perf_counter()
        outputs = function(*inputs)
        middle = time.perf_counter()
        if passes in (["forward"], ["step"]):
            return [middle - start]
        if passes == ["both"]:
            outputs.backward()
        else:
            torch.autograd.backward(outputs, upstream if isinstance(outputs, tuple) else upstream[0])
        end = time.perf_counter()
        for leaf in inputs:
            leaf.grad = None
        return [end - start] if passes == ["both"] else [middle - start, end - middle]

    for _ in range(2):
        run()
    samples, total = [], 0
    while len(samples) < 5 or (total < 0.5 and len(samples) < 101):
        samples.append(run())
        total += sum(samples[-1])
    return [statistics.median(times) for times in zip(*samples)]


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--compile", action="store_true")
    a.add_argument("--only", default="")
    o = a.parse_args()
    torch.manual_seed(0)
    for kernel, shape, tokens, passes, function, inputs in tasks():
        if o.only not in kernel:
            continue
        if o.compile:
            torch._dynamo.reset()  # otherwise it stops compiling after a few shapes
            function = torch.compile(function, dynamic=False)
        for name, seconds in zip(passes, measure(passes, function, inputs)):
            print(json.dumps({"kernel": kernel, "shape": shape, "tokens": tokens, "pass": name,
                              "seconds": float(f"{seconds:.4g}")}, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
