"""An evaluation that ends early shows what is done, marked partial."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.child import Running, running


@pytest.fixture
def endless(folder: Path) -> Path:
    (folder / "labels.jsonl").write_text(500 * (json.dumps({"prompt": "hello", "answer": "x"}) + "\n"))
    return folder


def told_by(child: Running) -> Any:
    assert child.process.stdout is not None
    return json.load(child.process.stdout)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_keeps_what_is_done_marked_partial(
    bundle: Path, endless: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    with running("eval", endless, "-b", bundle, "-n", 200, "--json", "--out", tmp_path / "out") as child:
        child.wait_for("2/500")
        child.signal(number)
        assert child.finish() == code
        told = told_by(child)
    assert told["partial"] is True
    assert 2 <= told["answers"]["done"] < 500
    assert told["bundles"][0]["rows"][0]["items"] == told["answers"]["done"]
    assert len((tmp_path / "out/results.jsonl").read_text().splitlines()) == told["answers"]["done"]
    assert "**Partial: " in (tmp_path / "out/report.md").read_text()
    assert "partial: " in child.seen


def test_a_process_that_is_ended_from_outside_is_an_error_that_keeps_what_is_done(bundle: Path, endless: Path) -> None:
    """As the kernel does when memory runs out."""
    with running("eval", endless, "-b", bundle, "-n", 200, "--json") as child:
        child.wait_for("2/500")
        (worker,) = children(child.process.pid)
        os.kill(worker, signal.SIGKILL)
        assert child.finish() == 6
        told = told_by(child)
    assert 2 <= told["answers"]["done"] < 500
    assert "was ended before it could answer line" in child.seen


def children(pid: int) -> list[int]:
    done = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in done.stdout.split()]
