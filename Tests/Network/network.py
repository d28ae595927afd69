"""Network namespaces that stand for machines: each has a name, an address and a link to a common switch.

Everything is named with the process id, and removed at the end of `with`, whatever ends it.
"""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

# The exit status of tests that this machine cannot run, as automake and meson read it.
SKIPPED = 77


def run(*command):
    """Runs a command of the system; its error is this program's."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout


def require():
    """Ends the program where there can be no namespaces."""
    missing = [name for name in ("ip", "tc", "unshare") if not shutil.which(name)]
    reason = None
    if os.geteuid() != 0:
        reason = "network namespaces need root"
    elif missing:
        reason = f"{' and '.join(missing)} missing: apt-get install iproute2 util-linux"
    elif subprocess.run(["unshare", "--net", "--mount", "--uts", "true"], capture_output=True).returncode:
        reason = "the system allows no namespaces"
    if reason:
        print(f"not run: {reason}", file=sys.stderr)
        sys.exit(SKIPPED)


class Host:
    """A machine of the network: a network namespace with its own /etc/hosts, host name and link."""

    def __init__(self, network, number):
        self.relay = None
        self.network, self.name, self.address = network, f"node-{'abcdefgh'[number]}", f"10.77.0.{number + 1}"
        self.namespace = f"{network.prefix}-{self.name}"
        # The interface in the switch's namespace.
        self.port = f"port{number}"

    def create(self, delay, loss):
        run("ip", "netns", "add", self.namespace)
        run("ip", "-n", self.namespace, "link", "set", "lo", "up")
        switch = self.network.switch
        run("ip", "-n", switch, "link", "add", self.port, "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
        run("ip", "-n", self.namespace, "address", "add", f"{self.address}/24", "dev", "eth0")
        run("ip", "-n", self.namespace, "link", "set", "eth0", "up")
        run("ip", "-n", switch, "link", "set", self.port, "up")
        if not delay and not loss:
            run("ip", "-n", switch, "link", "set", self.port, "master", "bridge")
            return
        # The relay is between the machine's port and the bridge. Packets are as small as on a wire.
        run("ip", "-n", self.namespace, "link", "set", "eth0", "gso_max_segs", "1")
        near, far = f"{self.port}-near", f"{self.port}-far"
        run("ip", "-n", switch, "link", "add", near, "type", "veth", "peer", "name", far)
        run("ip", "-n", switch, "link", "set", near, "up")
        run("ip", "-n", switch, "link", "set", far, "master", "bridge", "up")
        command = [sys.executable, Path(__file__).with_name("relay.py"), self.port, near, str(delay), str(loss)]
        self.relay = subprocess.Popen(
            ["ip", "netns", "exec", switch, *command], stdout=subprocess.PIPE, start_new_session=True)  # fmt: skip
        if self.relay.stdout.readline() != b"ready\n":
            raise RuntimeError("the relay of a link did not start")

    def start(self, command, **options):
        """Starts a command on this machine. The process is the command itself, in a session of its own, so that
        Ctrl-C reaches the test alone."""
        script = f'hostname {self.name} && exec "$@"'
        return subprocess.Popen(
            ["ip", "netns", "exec", self.namespace, "unshare", "--uts", "sh", "-c", script, "sh", *map(str, command)],
            stdin=subprocess.DEVNULL, start_new_session=True, **options)  # fmt: skip

    def cut(self):
        """Pulls the plug: what is sent is lost, and nobody is told."""
        run("ip", "-n", self.network.switch, "link", "set", self.port, "down")

    def limit(self, rate):
        """Limits what the machine sends, as in "100mbit"."""
        # A tenth of a second of packets may wait, and as many as one tick of the timer passes may leave at once.
        bits = int(rate.removesuffix("mbit")) * 10**6
        run("tc", "-n", self.namespace, "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", rate,
            "burst", max(16384, bits // 8 // 250), "latency", "100ms")  # fmt: skip

    def processes(self):
        return [int(line) for line in run("ip", "netns", "pids", self.namespace).split()]

    def remove(self):
        if self.relay:
            self.relay.kill()
            self.relay.wait()
            self.relay.stdout.close()
        with contextlib.suppress(RuntimeError):
            for process in self.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            run("ip", "netns", "del", self.namespace)
        shutil.rmtree(f"/etc/netns/{self.namespace}", ignore_errors=True)


class Network:
    """Machines node-a, node-b, … that know each other's names, at a switch.

    Packets from and to a machine take `delay` seconds, and the fraction `loss` of them is lost.
    """

    numbers = itertools.count()

    def __init__(self, count, delay=0.0, loss=0.0):
        self.delay, self.loss = delay, loss
        self.prefix = f"wideband-{os.getpid()}-{next(self.numbers)}"
        self.switch = f"{self.prefix}-switch"
        self.hosts = [Host(self, number) for number in range(count)]

    def __enter__(self):
        try:
            run("ip", "netns", "add", self.switch)
            run("ip", "-n", self.switch, "link", "add", "bridge", "type", "bridge")
            run("ip", "-n", self.switch, "link", "set", "bridge", "up")
            for host in self.hosts:
                own = Path("/etc/netns") / host.namespace
                own.mkdir(parents=True)
                # A machine knows its own name by a loopback address, as Debian's installer writes it.
                lines = [f"{'127.0.1.1' if other is host else other.address} {other.name}\n" for other in self.hosts]
                (own / "hosts").write_text("127.0.0.1 localhost\n" + "".join(lines))
                host.create(self.delay, self.loss)
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_):
        self.remove()

    def remove(self):
        for host in self.hosts:
            host.remove()
        with contextlib.suppress(RuntimeError):
            run("ip", "netns", "del", self.switch)
        with contextlib.suppress(OSError):
            os.rmdir("/etc/netns")
