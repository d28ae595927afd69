"""The benchmark models as a careful PyTorch user would write them, to be compared with `wideband bench step`.

    python3 Benchmarks/peers/torch_step.py --config Benchmarks/configs/width_2.json --batch 8 --length 256 --steps 10 [--compile] [--device cuda --dtype bfloat16]

Prints one JSON line: median training-step seconds (forward, backward, AdamW), tokens per second, peak memory.
Fused AdamW, scaled_dot_product_attention, one projection for all dynamic coefficients, batched matmul for mixing.
"""

import argparse
import json
import resource
import statistics
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


class Attention(nn.Module):
    def __init__(s, c):
        super().__init__()
        D, s.H, s.K, s.hd = c["hidden_size"], c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"]
        s.qkv = nn.Linear(D, (s.H + 2 * s.K) * s.hd, bias=False)
        s.o = nn.Linear(s.H * s.hd, D, bias=False)
        s.qn, s.kn, s.n = nn.RMSNorm(s.hd, 1e-6), nn.RMSNorm(s.hd, 1e-6), nn.RMSNorm(D, 1e-6)

    def forward(s, x, rope):
        B, T, _ = x.shape
        q, k, v = s.qkv(s.n(x)).view(B, T, -1, s.hd).split([s.H, s.K, s.K], 2)
        q, k = rotate(s.qn(q), *rope), rotate(s.kn(k), *rope)
        y = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), is_causal=True, enable_gqa=s.H != s.K)
        return s.o(y.transpose(1, 2).reshape(B, T, -1))


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat([-b, a], -1) * sin


class SwiGLU(nn.Module):
    def __init__(s, c):
        super().__init__()
        D, f = c["hidden_size"], c["intermediate_size"]
        s.n, s.up, s.down = nn.RMSNorm(D, 1e-6), nn.Linear(D, 2 * f, bias=False), nn.Linear(f, D, bias=False)

    def forward(s, x, rope):
        g, u = s.up(s.n(x)).chunk(2, -1)
        return s.down(F.silu(g) * u)


class Residual(nn.Module):
    def __init__(s, c, f):
        super().__init__()
        s.f = f

    def forward(s, h, rope):
        return h + s.f(h, rope)


class Connection(nn.Module):
    def __init__(s, c, f):
        super().__init__()
        s.f, s.m, s.n = f, c["virtual_width"]["fraction_rate"], c["virtual_width"]["slots"]
        C = c["hidden_size"] // s.m
        k = 2 * s.m + s.n
        s.norm, s.w, s.scale = nn.RMSNorm(C, 1e-6), nn.Linear(C, k, bias=False), nn.Parameter(torch.ones(s.n, k))
        start = torch.zeros(s.n, k)
        start[: s.m, : s.m] = torch.eye(s.m)
        start[:, s.m : s.m + s.n] = torch.eye(s.n)
        start[torch.arange(s.n), s.m + s.n + torch.arange(s.n) % s.m] = 1
        s.static = nn.Parameter(start)
        nn.init.zeros_(s.w.weight)

    def forward(s, h, rope):
        B, T, n, C = h.shape
        a = s.static + s.scale * torch.tanh(s.w(s.norm(h)) * C**-0.5)
        alpha, beta = a.split([s.m + n, s.m], -1)
        mix = alpha.transpose(-1, -2) @ h
        y = s.f(mix[..., : s.m, :].reshape(B, T, -1), rope).view(B, T, s.m, C)
        return mix[..., s.m :, :] + beta @ y


class Model(nn.Module):
    def __init__(s, c):
        super().__init__()
        s.c, D, vw = c, c["hidden_size"], c.get("virtual_width")
        s.n = vw["slots"] if vw else 1
        s.wide = D * s.n // vw["fraction_rate"] if vw else D
        narrow = vw and vw["embedding"] == "expanded"
        s.emb = nn.Embedding(c["vocab_size"], D if narrow else s.wide)
        s.expand = nn.Linear(D, s.wide, bias=False) if narrow else nn.Identity()
        wrap = Connection if vw else Residual
        s.layers = nn.ModuleList([wrap(c, f(c)) for _ in range(c["num_hidden_layers"]) for f in (Attention, SwiGLU)])
        s.gn = nn.GroupNorm(s.wide // D, s.wide, 1e-6) if vw and s.wide % D == 0 else nn.Identity()
        s.reduce = nn.Linear(s.wide, D, bias=False) if vw else nn.Identity()
        s.norm, s.out = nn.RMSNorm(D, 1e-6), nn.Linear(D, c["vocab_size"], bias=False)

    def forward(s, x, y):
        B, T = x.shape
        hd = s.c["head_dim"]
        ang = torch.arange(T, device=x.device)[:, None] * s.c["rope_theta"] ** (-torch.arange(0, hd, 2, device=x.device) / hd)
        ang = torch.cat([ang, ang], -1)[:, None]
        rope = (ang.cos().to(s.out.weight.dtype), ang.sin().to(s.out.weight.dtype))
        h = s.expand(s.emb(x))
        if s.n > 1:
            h = h.view(B, T, s.n, -1)
        for layer in s.layers:
            h = layer(h, rope)
        h = s.gn(h.reshape(B * T, -1)) if s.n > 1 else h.reshape(B * T, -1)
        return F.cross_entropy(s.out(s.norm(s.reduce(h))).float(), y.flatten())


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--config", required=True)
    a.add_argument("--batch", type=int, default=8)
    a.add_argument("--length", type=int, default=256)
    a.add_argument("--steps", type=int, default=7)
    a.add_argument("--compile", action="store_true")
    a.add_argument("--device", default="cpu")
    a.add_argument("--dtype", default="float32")
    o = a.parse_args()
    c = json.load(open(o.config))
    torch.manual_seed(0)
    model = Model(c).to(o.device, getattr(torch, o.dtype))
    opt = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    fwd = torch.compile(model) if o.compile else model
    x = torch.randint(0, c["vocab_size"], (o.batch, o.length), device=o.device)
    y = torch.randint(0, c["vocab_size"], (o.batch, o.length), device=o.device)
    wait = torch.cuda.synchronize if o.device.startswith("cuda") else (lambda: None)

    def step():
        opt.zero_grad()
        fwd(x, y).backward()
        opt.step()
        wait()

    for _ in range(3):
        step()
    times = []
    for _ in range(o.steps):
        t = time.perf_counter()
        step()
        times.append(time.perf_counter() - t)
    t = statistics.median(times)
    peak = torch.cuda.max_memory_allocated() if o.device.startswith("cuda") else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"step_s": round(t, 5), "tokens_per_s": round(o.batch * o.length / t, 1), "peak_bytes": peak,
                      "mode": "compile" if o.compile else "eager", "torch": torch.__version__}), flush=True)


if __name__ == "__main__":
    main()
