"""Ranks of `wideband train` on machines of a network, and what must hold for their run folder."""

import hashlib
import json
import os
import re
import signal
import subprocess
import time
import zlib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
GOLDEN = REPOSITORY / "Tests/Fixtures/golden"
# Seconds that a rank may let the others wait.
TIMEOUT = 8
# A model this small gains nothing from more threads, and threads that wait must leave the processors to other ranks.
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
# A step takes some milliseconds, and has six batches, for two or three ranks.
SHAPE = {"model.hidden_size": 64, "model.intermediate_size": 176, "model.num_hidden_layers": 4,
         "training.tokens_per_step": 192, "training.rows_per_batch": 1, "checkpoint.interval": 10,
         "validation.interval": 100}  # fmt: skip


def program():
    path = Path(os.environ.get("WIDEBAND", REPOSITORY / ".build/release/wideband")).resolve()
    if not os.access(path, os.X_OK):
        raise SystemExit(f"{path} is not there; build it with: swift build -c release --product wideband")
    return path


def wideband(*arguments):
    done = subprocess.run([program(), *map(str, arguments)], env=ENVIRONMENT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"wideband {arguments[0]}: {done.stderr.strip()}")
    return done.stdout


def make_data(folder, fraction):
    """A tokenizer and token shards; texts that are held out in another fraction are other data."""
    text = GOLDEN / "genesis.txt"
    tokenizer, tokens = folder / "tokenizer", folder / f"tokens-{fraction}"
    if not tokenizer.exists():
        wideband("tokenizer", "train", "--size", 384, "--output", tokenizer, text)
    wideband("data", "prepare", "--tokenizer", tokenizer, "--output", tokens, "--validation-fraction", fraction, text)
    return tokens


def settings(values):
    return [argument for key, value in values.items() for argument in ("--set", f"{key}={value}")]


class Rank:
    """A process of a run on a machine, with its output in a file."""

    def __init__(self, host, number, command, log, **options):
        self.host, self.number, self.log = host, number, log
        with open(log, "wb") as output:
            self.process = host.start(command, stdout=output, stderr=output, env=ENVIRONMENT, **options)

    @property
    def output(self):
        return self.log.read_text(errors="replace").replace("\r", "\n")

    @property
    def status(self):
        return self.process.poll()

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds):
        """The exit status, as a shell counts it."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"rank {self.number} has not ended within {seconds:.0f} s: {self.output[-400:]}") from None
        return status if status >= 0 else 128 - status


class Run:
    """A run in a folder, which ranks on machines train together."""

    port = 29500

    def __init__(self, folder, data, steps=100_000, timeout=TIMEOUT, **changes):
        self.folder, self.data, self.timeout, self.ranks = Path(folder), data, timeout, []
        self.settings = SHAPE | {"training.steps": steps} | changes

    def command(self, rank, size, master, output=None, data=None, changes=None):
        return [program(), "train", "--recipe", GOLDEN / "wide.yaml", "--data", data or self.data,
                "--output", output or self.folder, "--resume", "auto", "--rank", rank, "--world-size", size,
                "--master", master, "--timeout", self.timeout, *settings(self.settings | (changes or {}))]  # fmt: skip

    def start(self, hosts, size=None, master=None, own=None, options=None):
        """Starts a rank on each machine.

        `own` are further arguments of `command` by rank, `options` those of the process.
        """
        # A port of its own for each start: the last one may still be in use.
        Run.port += 1
        master = f"{master or hosts[0].name}:{Run.port}"
        for number, host in enumerate(hosts):
            command = self.command(number, size or len(hosts), master, **(own or {}).get(number, {}))
            log = self.folder.with_name(f"{self.folder.name}-rank-{number}.log")
            self.ranks.append(Rank(host, number, command, log, **(options or {}).get(number, {})))
        self.ranks = self.ranks[-len(hosts) :]
        return self

    @property
    def metrics(self):
        """The lines of the metrics by step, without what is measured."""
        path = self.folder / "metrics.jsonl"
        # The last line may be in the middle of being written.
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        rows = [json.loads(line) for line in lines]
        return {row["step"]: {key: row[key] for key in row if key not in ("tokens_per_second", "peak_bytes")} for row in rows}

    def wait_for_step(self, step, seconds=60):
        """Waits until a step is recorded."""
        deadline = time.monotonic() + seconds
        while max(self.metrics, default=0) < step:
            for rank in self.ranks:
                assert rank.status is None, f"rank {rank.number} has ended with status {rank.status}: {rank.output[-400:]}"
            assert time.monotonic() < deadline, f"step {step} is not done within {seconds} s: {self.ranks[0].output[-400:]}"
            time.sleep(0.02)

    def said(self, number, sentence):
        """The line of a rank, on its terminal or in its log, that matches a pattern."""
        log = self.folder / ("log.txt" if number == 0 else f"log-rank-{number}.txt")
        text = self.ranks[number].output + (log.read_text(errors="replace") if log.exists() else "")
        for line in text.split("\n"):
            if re.search(sentence, line):
                return line.strip()
        raise AssertionError(f"rank {number} has not said '{sentence}', but: {text.strip()[-600:]}")

    def finish(self, status=0, seconds=120):
        """Waits for all ranks, which must end with a status."""
        for rank in self.ranks:
            found = rank.wait(seconds)
            assert found == status, f"rank {rank.number} has ended with status {found}: {rank.output[-400:]}"

    def kill(self):
        for rank in self.ranks:
            rank.process.kill()
            rank.process.wait()

    @property
    def checkpoints(self):
        """The steps of the checkpoints, each of which must be whole: sizes and checksums are those of its manifest."""
        steps = []
        for folder in sorted((self.folder / "checkpoints").glob("step-*")):
            manifest = json.loads((folder / "optimizer.json").read_text())
            for file in manifest["files"]:
                content = (folder / file["name"]).read_bytes()
                assert len(content) == file["bytes"], f"{folder / file['name']} is not whole"
                assert f"{zlib.crc32(content):08x}" == file["checksum"], f"{folder / file['name']} is not what was written"
            steps.append(int(folder.name.removeprefix("step-")))
        return steps

    def resume(self, hosts):
        """Continues the run in new processes, from its last checkpoint, to the same numbers. Returns the step."""
        before, last = self.metrics, self.checkpoints[-1]
        assert max(before) >= last
        self.start(hosts)
        self.wait_for_step(max(before) + 3)
        self.ranks[-1].signal(signal.SIGTERM)
        self.finish(status=130)
        self.said(0, f"from step {last}$")
        after = self.metrics
        assert all(after[step] == before[step] for step in before), "the resumed run has other losses"
        left = [path.name for path in (self.folder / "checkpoints").iterdir() if not path.name.startswith("step-")]
        assert not left, f"the resumed run has left {left}"
        return last

    def result(self):
        """The metrics of all steps, and the SHA-256 of the weights and moments of the last one."""
        last = self.folder / f"checkpoints/step-{self.checkpoints[-1]:08d}"
        files = sorted(last.glob("*.safetensors"))
        return self.metrics, {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
