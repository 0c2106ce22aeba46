"""`edge export` in a process of its own, under limits if wanted."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
EDGE = [sys.executable, "-m", "edge.cli.main"]


def edge_export(
    *arguments: str | Path, prefix: tuple[str, ...] = (), before: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[str]:
    """`before` runs in the child; `prefix` is a command that runs the rest of its line."""
    return subprocess.run(
        [*prefix, *EDGE, "export", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "300"},
        preexec_fn=before,
        timeout=300,
    )


def error_lines(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The sentence and the next step; there is no traceback and nothing on stdout."""
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()[-2:]
    assert lines[0].startswith("error: "), done.stderr
    return lines
