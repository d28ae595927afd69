"""Servers for the tests. $WIDEBAND names the program."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from server import Server, make_model  # noqa: E402


@pytest.fixture(scope="session")
def program():
    return os.environ["WIDEBAND"]


@pytest.fixture(scope="session")
def model(program, tmp_path_factory):
    return make_model(program, tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def start(program, model, tmp_path_factory):
    """Starts a server with options of its own, which the caller stops."""
    return lambda *options: Server(program, model, tmp_path_factory.mktemp("server") / "log", *options)


@pytest.fixture(scope="session")
def plain(start):
    """The server that most tests share."""
    with start("--parallel", 4) as server:
        yield server
        assert server.is_alive
