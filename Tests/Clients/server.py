"""A `wideband serve` that tests start, watch and stop."""

import re
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

# The shape of a model that decodes thousands of tokens a second on one core.
CONFIGURATION = """{
  "vocab_size": 1024, "hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2,
  "head_dim": 16, "intermediate_size": 128, "max_position_embeddings": 4096,
  "direct_decoding": {"encoding_layers": 1, "decoding_layers": 1, "cycle": 4, "gate": "add"}
}"""


class Server:
    """A server of a model's folder on this machine; `with` stops it."""

    def __init__(self, program, model, log, *options, port=None):
        self.program, self.model, self.log_path, self.options = program, model, Path(log), options
        self.port = port or free_port()
        self.start()

    def start(self):
        command = [self.program, "serve", "--model", self.model, "--port", str(self.port), *map(str, self.options)]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)
        deadline = time.monotonic() + 60
        while True:
            try:
                self.get("/health")
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.kill()
                    raise RuntimeError(f"the server did not start:\n{self.log}") from None
                time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Ends the server as a service manager does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self):
        self.process.kill()
        self.process.wait()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    @property
    def is_alive(self):
        return self.process.poll() is None

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=30) as response:
            return response.read().decode()

    @property
    def resident_megabytes(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024

    @property
    def metrics(self):
        """The value of each counter and gauge; a name with labels is followed by them."""
        lines = [line.rsplit(" ", 1) for line in self.get("/metrics").splitlines() if line and line[0] != "#"]
        return {name: float(value) for name, value in lines}

    @property
    def active(self):
        """The number of sequences that wait, whose prompts are processed or that are decoded."""
        return sum(value for name, value in self.metrics.items() if name.startswith("wideband_sequences{"))

    def wait_until(self, condition, seconds=30):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {seconds} seconds: {self.metrics}")
            time.sleep(0.02)

    def wait_until_idle(self):
        """Waits until nothing runs or waits."""
        self.wait_until(lambda: self.active == 0)


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def make_model(program, folder):
    """A small model with random weights, a chat template and direct decoding."""
    root = Path(__file__).resolve().parents[2]
    folder = Path(folder)
    (folder / "config.json").write_text(CONFIGURATION)
    text = root / "Tests/Fixtures/golden/genesis.txt"
    for command in (
        ["tokenizer", "train", "--size", "1024", "--chat", "--output", folder / "tokenizer", text],
        ["init", "--config", folder / "config.json", "--tokenizer", folder / "tokenizer", "--output", folder / "model"],
    ):
        subprocess.run([program, *command], check=True, stdout=subprocess.DEVNULL)
    return folder / "model"
