"""What a network can do to ranks that train together (scripts/test-network).

A case prints what the ranks that are left said, with which status they ended, and after how long; it raises an error for
what must not be.
"""

import contextlib
import resource
import signal
import time

from network import Network, run
from ranks import TIMEOUT, Run, make_data

# Ranks have these seconds to notice what a closed connection tells, and to agree on who was lost.
SOON = 10
# The exit statuses: another rank was lost; a mistake that another attempt would repeat.
LOST, MISTAKE = 75, 1
# Seconds in which all ranks have to arrive; `train` has no flag for them.
START_TIMEOUT = 300


def say(text):
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


def left(case, ranks, status, seconds, since):
    """Waits for the ranks that are left, and prints how they ended."""
    for rank in ranks:
        found = rank.wait(max(1, since + seconds - time.monotonic()))
        say(f"{case}: rank {rank.number} ended with {found} after {time.monotonic() - since:.1f} s")
        assert found == status, f"expected status {status}: {rank.output[-400:]}"


class Cases:
    """The cases; each is a method whose doc comment says what happens."""

    def __init__(self, folder):
        self.folder = folder
        self.data, self.different_data = make_data(folder, 0.2), make_data(folder, 0.1)

    def run(self, name, **settings):
        return Run(self.folder / name, self.data, **settings)

    def lose(self, name, happen, survivors, sentence, seconds, hosts, status=LOST, **options):
        """Something happens to a run in the middle of training: the survivors name it, and the run can be continued."""
        training = self.run(name).start(hosts, **options)
        try:
            training.wait_for_step(35)
            since = time.monotonic()
            happen(training)
            left(name, [training.ranks[number] for number in survivors], status, seconds, since)
            for number in survivors:
                line = training.said(number, sentence)
            say(f"{name}: {line}")
            last = training.checkpoints[-1]
            assert f"the last checkpoint is that of step {last}" in line, f"the last checkpoint is that of step {last}"
        finally:
            training.kill()
        return training

    def again(self, name, training, hosts):
        try:
            say(f"{name}: continued from step {training.resume(hosts)} with the same losses")
        finally:
            training.kill()

    def cut_link(self):
        """The cable of one machine of three is pulled."""
        with Network(3) as network:
            hosts = network.hosts
            training = self.lose(
                "cut link", lambda _: hosts[2].cut(), (0, 1), rf"rank 2 \(node-c\) did not answer for {TIMEOUT} s, after step",
                TIMEOUT + SOON, hosts)  # fmt: skip
        with Network(3) as network:
            self.again("cut link", training, network.hosts)

    def killed_master(self):
        """Rank 0, which has the store, is killed."""
        with Network(2) as network:
            training = self.lose(
                "killed master", lambda training: training.ranks[0].signal(signal.SIGKILL), (1,),
                r"rank 0 \(node-a\) was lost: connection (closed|reset), after step", SOON, network.hosts)  # fmt: skip
            self.again("killed master", training, network.hosts)

    def killed_rank(self):
        """A rank is killed."""
        with Network(2) as network:
            training = self.lose(
                "killed rank", lambda training: training.ranks[1].signal(signal.SIGKILL), (0,),
                r"rank 1 \(node-b\) was lost: connection (closed|reset), after step", SOON, network.hosts)  # fmt: skip
            self.again("killed rank", training, network.hosts)

    def stalled_rank(self):
        """A rank stops for longer than the timeout, and goes on when the others have given it up."""
        with Network(2) as network:
            training = self.run("stalled rank").start(network.hosts)
            try:
                training.wait_for_step(35)
                since = time.monotonic()
                training.ranks[1].signal(signal.SIGSTOP)
                left("stalled rank", training.ranks[:1], LOST, TIMEOUT + SOON, since)
                say("stalled rank: " + training.said(0, rf"rank 1 \(node-b\) did not answer for {TIMEOUT} s, after step"))
                before = training.checkpoints
                since = time.monotonic()
                training.ranks[1].signal(signal.SIGCONT)
                left("stalled rank", training.ranks[1:], LOST, SOON, since)
                say("stalled rank: " + training.said(1, r"rank 0 \(node-a\) (was lost|did not answer)[^,]*, after step"))
                assert training.checkpoints == before
                self.again("stalled rank", training, network.hosts)
            finally:
                training.kill()

    def full_disk(self):
        """The file system of the run folder, which all machines share, is full."""
        name, folder = "full disk", self.folder / "full disk"
        folder.mkdir()
        run("mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder)
        try:
            ballast = folder / "ballast"

            def fill(_):
                with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
                    while True:
                        file.write(bytes(4096))

            with Network(2) as network:
                training = self.run("full disk/run").start(network.hosts)
                try:
                    training.wait_for_step(35)
                    since = time.monotonic()
                    fill(training)
                    left(name, training.ranks, MISTAKE, TIMEOUT + SOON, since)
                    for number in (0, 1):
                        with contextlib.suppress(AssertionError):
                            say(f"{name}: rank {number}: {training.said(number, 'No space left on device')}")
                    training.said(0, "No space left on device")
                    ballast.unlink()
                    self.again(name, training, network.hosts)
                finally:
                    training.kill()
        finally:
            run("umount", folder)

    def limited_rank(self):
        """One rank alone cannot write its part of a checkpoint: files of it may have 16 KiB."""
        name = "limited rank"

        def limit():
            # Without this, the signal would end the process.
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384))

        with Network(2) as network:
            training = self.run(name, **{"checkpoint.interval": 1000}).start(network.hosts)
            training.wait_for_step(5)
            training.ranks[0].signal(signal.SIGTERM)
            training.finish(status=130)
            last = training.checkpoints
            training.start(network.hosts, options={1: {"preexec_fn": limit}})
            training.wait_for_step(last[-1] + 3)
            since = time.monotonic()
            training.ranks[0].signal(signal.SIGTERM)
            left(name, training.ranks, MISTAKE, TIMEOUT + SOON, since)
            say(f"{name}: " + training.said(0, r"rank 1 \(node-b\).*optimizer-00001-of-00002.safetensors.*File too large"))
            assert training.checkpoints == last
            self.again(name, training, network.hosts)

    def refused(self, name, sentence, own):
        """Ranks that do not fit are refused before the first step, and leave no run folder."""
        with Network(2) as network:
            training = self.run(name)
            since = time.monotonic()
            training.start(network.hosts, own={1: own})
            try:
                left(name, training.ranks, MISTAKE, 3 * SOON, since)
                say(f"{name}: " + training.said(0, sentence))
                assert not training.folder.exists(), f"{training.folder} is there"
            finally:
                training.kill()

    def other_recipe(self):
        """A rank has another recipe."""
        sentence = r"training.seed of rank 1 \(node-b\) is '5': expected '\w+', as on rank 0 \(node-a\)"
        self.refused("other recipe", sentence, {"changes": {"training.seed": 5}})

    def other_data(self):
        """A rank has other data."""
        sentence = r"data of rank 1 \(node-b\) is '\w+': expected '\w+', as on rank 0 \(node-a\)"
        self.refused("other data", sentence, {"data": self.different_data})

    def other_folder(self):
        """The run folder of a rank is not that of rank 0."""
        other = self.folder / "elsewhere"
        other.mkdir()
        sentence = r"rank 1 \(node-b\): .*elsewhere: expected the run folder of rank 0, which all processes share"
        self.refused("other folder", sentence, {"output": other})
        assert not list(other.iterdir()), f"{other} has {list(other.iterdir())}"

    def slow_link(self):
        """A link of 50 Mb/s whose packets take 5 ms: the same bits."""
        self.same_bits("slow link", rate="50mbit", delay=0.005)

    def lossy_link(self):
        """A link that loses one packet of a hundred: the same bits."""
        self.same_bits("lossy link", loss=0.01)

    def same_bits(self, name, rate=None, **link):
        results = []
        for each in ("plain link", name):
            with Network(2, **(link if each == name else {})) as network:
                if rate and each == name:
                    for host in network.hosts:
                        host.limit(rate)
                # A slow link must not count as a lost one.
                training = self.run(f"{name}/{each}", steps=60, timeout=100)
                since = time.monotonic()
                training.folder.parent.mkdir(exist_ok=True)
                training.start(network.hosts)
                try:
                    training.finish()
                finally:
                    training.kill()
                say(f"{name}: {each}: 60 steps in {time.monotonic() - since:.1f} s")
                results.append(training.result())
        assert results[0] == results[1], "the results differ"
        say(f"{name}: the same losses, weights and moments")


@contextlib.contextmanager
def starts_in_vain(cases):
    """Ranks that wait for others in vain, while the cases in between run: they wait for five minutes."""
    with Network(3) as network:
        a, b, _ = network.hosts
        since = time.monotonic()
        missing = cases.run("missing host").start([a, b], size=3)
        nameless = cases.run("no such name").start([a, b], master="node-z")
        try:
            yield
            for name, training, sentence in (
                ("missing host", missing, f"rank 2 of 3 did not arrive within {START_TIMEOUT} s"),
                ("no such name", nameless, "cannot .* node-z:[0-9]+.*: "),
            ):
                left(name, training.ranks, LOST, START_TIMEOUT + SOON, since)
                for number in (0, 1):
                    say(f"{name}: rank {number}: {training.said(number, sentence)}")
                assert not training.folder.exists(), f"{training.folder} is there"
        finally:
            missing.kill()
            nameless.kill()
