"""Requests that schemathesis makes from the description of the API: valid ones are answered, others refused."""

import os
import re
import subprocess
import sysconfig
from pathlib import Path

EXAMPLES = 30


def test_description(start, tmp_path):
    with start() as server:
        run = subprocess.run(
            [Path(sysconfig.get_path("scripts")) / "st", "run", server.url + "/openapi.json", "--checks", "all",
             "--phases", "coverage,fuzzing", "--max-examples", str(EXAMPLES), "--generation-deterministic",
             "--continue-on-failure", "--output-sanitize", "false", "--no-color"],
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parent), "SCHEMATHESIS_HOOKS": "schema_hooks"},
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert server.is_alive
        assert "internal_error" not in server.log
        assert run.returncode == 0, run.stdout
        assert int(re.search(r"(\d+) generated", run.stdout)[1]) > 10 * EXAMPLES
