"""A stand-in for the server of `wideband train --dashboard`, for tests of its page."""

import contextlib
import json
import math
import mimetypes
import random
import socket
import threading
import time
from urllib.parse import parse_qs, urlsplit

from mock_serve import PAGE, Handler, Server


class Run:
    """A run of which a test writes the lines."""

    def __init__(self, name="wide", steps=2000, port=0):
        self.name, self.steps = name, steps
        self.id = f"{id(self)}"
        self.state, self.message = "running", None
        self.metrics = self.log = ""
        self.requests, self.connections = [], []
        run = self

        class RunHandler(Handler):
            def setup(self):
                super().setup()
                run.connections.append(self.connection)

            def do_GET(self):
                run.get(self)

        self.server = Server(("127.0.0.1", port), RunHandler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self):
        """Ends as the process does."""
        if self.state != "running":
            time.sleep(0.3)  # requests that wait are answered
        self.server.shutdown()
        self.server.server_close()
        for connection in self.connections:
            with contextlib.suppress(OSError):  # it may have ended
                connection.shutdown(socket.SHUT_RDWR)

    def step(self, step, **more):
        """Writes the line of a step, with invented values."""
        rng = random.Random(step)
        progress = step / self.steps
        loss = 2.6 + 5.2 * math.exp(-6 * progress) + rng.gauss(0, 0.05)
        values = {
            "step": step,
            "train/total": loss + 0.3,
            "train/next_token": loss,
            "train/next_2_token": loss + 0.9,
            "gradient_norm": 0.4 + 2 * math.exp(-9 * progress) + abs(rng.gauss(0, 0.08)),
            "learning_rate": 3e-4 * min(1, step / 100) * (0.55 + 0.45 * math.cos(math.pi * progress)),
            "tokens_per_second": 8192 * 2.1 + rng.gauss(0, 200),
        }
        if step % 100 == 0:
            held_out = 2.65 + 5.1 * math.exp(-6 * progress)
            values |= {
                "validation/next_token": held_out,
                "validation/bits_per_byte": held_out / 2.9,
                "validation/next_2_token": held_out + 0.9,
                "peak_bytes": 3.2e9 + 1e5 * step,
                "connection/largest_carry_gain": 1 + progress,
                "connection/dynamic_share": 0.2 * progress,
                "expert_load/0/0": 0.5,
            }
        self.metrics += json.dumps(values | more) + "\n"

    def write(self, line):
        self.log += f"2026-11-30T12:00:00Z {line}\n"

    def get(self, handler):
        url = urlsplit(handler.path)
        if url.path == "/run":
            self.requests.append(handler.path)
            return handler.reply(200, self.answer(parse_qs(url.query)))
        name = "dashboard.html" if url.path == "/" else url.path.removeprefix("/page/")
        if name not in {file.name for file in PAGE.iterdir()}:
            return handler.refuse(404, {}, "there is nothing at this address")
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        handler.reply(200, (PAGE / name).read_bytes(), f"{kind}; charset=utf-8")

    def answer(self, query):
        """What was written after the offsets. It waits for something new, as the server does."""
        offsets = [int(query.get(name, ["0"])[0]) for name in ("metrics", "log")]
        asked = time.monotonic()
        while True:
            state, message = self.state, self.message
            tails = [text.encode()[offset:] for text, offset in zip((self.metrics, self.log), offsets, strict=True)]
            tails = [tail[: tail.rfind(b"\n") + 1] for tail in tails]
            if "wait" not in query or state != "running" or time.monotonic() - asked >= (0.3 if any(tails) else 15):
                break
            time.sleep(0.02)
        metrics, log = (
            {"text": tail.decode(), "end": offset + len(tail)} for tail, offset in zip(tails, offsets, strict=True)
        )
        return {
            "id": self.id,
            "name": self.name,
            "steps": self.steps,
            "tokens_per_step": 8192,
            "seconds": 754,
            "rows": [
                ["folder", "/data/runs/wide"],
                ["recipe", "configs/quickstart-wide.yaml"],
                ["device", "cpu"],
                ["parameters", "37412864"],
                ["layers", "12"],
                ["virtual width", "(m, n) = (4, 16), r = 4"],
                ["tokens a step", "8192"],
            ],
            "state": state,
            "message": message,
            "metrics": metrics,
            "log": log,
        }
