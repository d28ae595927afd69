"""Training on prepared data in PyTorch, in one process or in those of torchrun, to be compared with `wideband train`.

    python3 Benchmarks/peers/torch_train.py --config RUN/best/config.json --data data/tokens --steps 16 [--compile]
    torchrun --nproc-per-node 2 Benchmarks/peers/torch_train.py …

The plain model of torch_step.py with the recipe's AdamW and clipping. In several processes DistributedDataParallel adds
the gradients while the backward pass runs, and ZeroRedundancyOptimizer gives each process a part of AdamW's state. The
first process prints one JSON line: seconds and loss of each step.
"""

import argparse
import json
import os
import pathlib
import time

import numpy
import torch
import torch.distributed as dist
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.nn.parallel import DistributedDataParallel
from torch_step import Model

ADAMW = {"lr": 3e-4, "betas": (0.9, 0.95), "eps": 1e-8, "weight_decay": 0.1, "fused": True}


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--config", required=True)
    a.add_argument("--data", required=True)
    a.add_argument("--batch", type=int, default=8)
    a.add_argument("--length", type=int, default=256)
    a.add_argument("--steps", type=int, default=16)
    a.add_argument("--compile", action="store_true")
    o = a.parse_args()
    size, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    if size > 1:
        dist.init_process_group("gloo")
    torch.manual_seed(0)
    model = Model(json.load(open(o.config)))
    torch.nn.init.normal_(model.out.weight, std=0.02)  # As in Wideband: the losses of the first step are then near.
    if size > 1:
        # Buckets as views save a copy of all gradients and of all weights in every step.
        forward = DistributedDataParallel(model, gradient_as_bucket_view=True)
        optimizer = ZeroRedundancyOptimizer(model.parameters(), torch.optim.AdamW, parameters_as_bucket_view=True, **ADAMW)
    else:
        forward, optimizer = model, torch.optim.AdamW(model.parameters(), **ADAMW)
    if o.compile:
        forward = torch.compile(forward)
    tokens = numpy.load(pathlib.Path(o.data) / "train-00000.npy", mmap_mode="r")
    rows = o.batch // size

    def step(number):
        first = (number * o.batch + rank * rows) * o.length
        part = torch.from_numpy(tokens[first : first + rows * o.length + 1].astype("int64"))
        optimizer.zero_grad()
        loss = forward(part[:-1].view(rows, o.length), part[1:].view(rows, o.length))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        loss = loss.detach()
        if size > 1:
            dist.all_reduce(loss)
        return loss.item() / size

    seconds, losses = [], []
    for number in range(o.steps):
        start = time.perf_counter()
        losses.append(step(number))
        seconds.append(time.perf_counter() - start)
    if rank == 0:
        print(json.dumps({"seconds": seconds, "losses": losses, "torch": torch.__version__}), flush=True)
    if size > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
