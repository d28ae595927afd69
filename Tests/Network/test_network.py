"""Runs the cases of `cases.py`: all, or those that are named."""

import argparse
import signal
import sys
import tempfile
import traceback
from pathlib import Path

import network
from cases import Cases, say, starts_in_vain

NAMES = [
    "other_recipe", "other_data", "other_folder", "cut_link", "killed_master", "killed_rank", "stalled_rank", "full_disk",
    "limited_rank", "slow_link", "lossy_link", "starts_in_vain",
]  # fmt: skip


def attempt(name, action):
    """Whether a case passes."""
    try:
        action()
        return True
    except Exception:
        say(f"{name}: failed")
        traceback.print_exc()
        return False


def main():
    parser = argparse.ArgumentParser(prog="test-network")
    parser.add_argument("cases", nargs="*", metavar="case", help=f"one of: {', '.join(NAMES)}; all by default")
    names = parser.parse_args().cases or NAMES
    for name in names:
        if name not in NAMES:
            parser.error(f"the case is '{name}': expected one of {', '.join(NAMES)}")
    network.require()
    # Namespaces and mounts are removed then too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    failed = []
    with tempfile.TemporaryDirectory(prefix="wideband-network-") as folder:
        cases = Cases(Path(folder))

        def run_all():
            for name in names:
                if name != "starts_in_vain" and not attempt(name, getattr(cases, name)):
                    failed.append(name)

        def in_vain():
            with starts_in_vain(cases):
                run_all()

        if "starts_in_vain" not in names:
            run_all()
        elif not attempt("starts_in_vain", in_vain):
            failed.append("starts_in_vain")
    if failed:
        sys.exit(f"test-network: failed: {', '.join(failed)}")
    say("all cases passed")


main()
