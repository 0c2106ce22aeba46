"""An export that is killed at any moment leaves nothing half-done, and resumes to the same bytes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.bundle.verify import verify
from edge.errors import UsageError
from export.exporter import JOURNAL, ExportReport, Progress, run_export
from export.options import ExportOptions
from export.plan import plan_export
from export.weights import writer
from tests.export.killed_export import hashes

WEIGHT_KILLS = 20
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def frequent_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """The miniature is far smaller than the real interval."""
    monkeypatch.setattr(writer, "SYNC_BYTES", 1 << 16)


def export(checkpoint: Path, out: Path, progress: Callable[[Progress], None] = lambda _: None) -> ExportReport:
    return run_export(plan_export(checkpoint, ExportOptions()), out, progress)


@pytest.fixture(scope="module")
def uninterrupted(phi3_bundle: Path, tmp_path_factory: pytest.TempPathFactory, phi3_checkpoint: Path) -> dict[str, str]:
    """SHA-256 of the files of an export under the name that all exports here have."""
    out = tmp_path_factory.mktemp("uninterrupted") / "bundle"
    export(phi3_checkpoint, out)
    return hashes(out)


def kill_and_resume(checkpoint: Path, directory: Path, jobs: list[list[Any]]) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.export.killed_export", str(checkpoint), str(directory)],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check(results: list[dict[str, Any]], uninterrupted: dict[str, str]) -> None:
    for result in results:
        assert result["whole"] == result["existed"], f"half a bundle under its final name after {result['job']}"
        assert result["hashes"] == uninterrupted, result["job"]
        assert result["beside"] == ["bundle"], result["job"]


def test_a_kill_after_any_weight_is_resumed_to_the_same_bytes(
    phi3_checkpoint: Path, tmp_path: Path, uninterrupted: dict[str, str]
) -> None:
    weights = len(plan_export(phi3_checkpoint, ExportOptions()).weights)
    assert weights >= WEIGHT_KILLS
    results = kill_and_resume(phi3_checkpoint, tmp_path, [["weight", n + 1] for n in range(weights)])
    assert all(result["killed"] and not result["existed"] for result in results)
    check(results, uninterrupted)
    resumed = [result["resumed_bytes"] for result in results]
    assert resumed == sorted(resumed) and resumed[-1] > resumed[len(resumed) // 2] > 0


def test_a_kill_in_the_middle_of_a_write_is_resumed_to_the_same_bytes(
    phi3_checkpoint: Path, tmp_path: Path, uninterrupted: dict[str, str]
) -> None:
    total = plan_export(phi3_checkpoint, ExportOptions()).weights_bytes
    places = np.random.default_rng(11).integers(1, total, WEIGHT_KILLS).tolist()
    results = kill_and_resume(phi3_checkpoint, tmp_path, [["byte", place] for place in places])
    assert all(result["killed"] and not result["existed"] for result in results)
    check(results, uninterrupted)


def test_a_kill_before_any_file_operation_is_resumed_to_the_same_bytes(
    phi3_checkpoint: Path, tmp_path: Path, uninterrupted: dict[str, str]
) -> None:
    """All the way from the first lock to the last fsync after the rename."""
    step = 40
    results: list[dict[str, Any]] = []
    while not results or results[-1]["killed"]:
        jobs = [["operation", len(results) + n + 1] for n in range(step)]
        (tmp_path / str(len(results))).mkdir()
        results += kill_and_resume(phi3_checkpoint, tmp_path / str(len(results)), jobs)
    killed = [result for result in results if result["killed"]]
    assert len(killed) > 40
    assert {result["existed"] for result in killed} == {False, True}, "some kills are after the final rename"
    check(results, uninterrupted)


class Stop(Exception):
    """Raised by a progress callback; unlike a refusal it leaves the partial export to be resumed."""


def interrupted(checkpoint: Path, out: Path, after: int) -> Path:
    """The hidden directory of an export that was stopped after some weights."""
    seen: list[Progress] = []

    def stop(progress: Progress) -> None:
        seen.append(progress)
        if len(seen) == after:
            raise Stop

    with pytest.raises(Stop):
        export(checkpoint, out, stop)
    (partial,) = out.parent.iterdir()
    return partial


def flip(file: Path, place: int) -> None:
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)


DAMAGE: dict[str, Callable[[Path], None]] = {
    "nothing": lambda partial: None,
    "a flipped bit in the first weight": lambda partial: flip(partial / "weights.bin", 100),
    "a flipped bit near the end": lambda partial: flip(partial / "weights.bin", -5000),
    "lost tail of the weights": lambda partial: os.truncate(partial / "weights.bin", 70_000),
    "lost weights": lambda partial: (partial / "weights.bin").unlink(),
    "garbage behind the weights": lambda partial: flip_append(partial / "weights.bin"),
    "lost journal": lambda partial: (partial / JOURNAL).unlink(),
    "empty journal": lambda partial: (partial / JOURNAL).write_bytes(b""),
    "torn journal": lambda partial: os.truncate(partial / JOURNAL, (partial / JOURNAL).stat().st_size - 9),
    "binary journal": lambda partial: (partial / JOURNAL).write_bytes(b"\xff\x00" * 50),
    "a journal line of another shape": lambda partial: append(partial / JOURNAL, b"5\n[]\n[1, 2]\n"),
    "a stranger's file": lambda partial: (partial / ".text.onnx.tmp-123").write_bytes(b"half"),
}


def append(file: Path, data: bytes) -> None:
    file.write_bytes(file.read_bytes() + data)


def flip_append(file: Path) -> None:
    append(file, b"\x55" * 10_000)


@pytest.mark.parametrize("damage", DAMAGE)
def test_whatever_a_power_cut_left_the_result_is_the_same(
    phi3_checkpoint: Path, tmp_path: Path, uninterrupted: dict[str, str], damage: str
) -> None:
    out = tmp_path / "place" / "bundle"
    partial = interrupted(phi3_checkpoint, out, after=14)
    DAMAGE[damage](partial)
    report = export(phi3_checkpoint, out)
    assert hashes(out) == uninterrupted
    assert [path.name for path in out.parent.iterdir()] == ["bundle"]
    if damage in ("nothing", "garbage behind the weights", "a stranger's file", "torn journal"):
        assert report.resumed_bytes > 0


def test_an_interrupted_export_with_other_options_is_not_resumed(phi3_checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "place" / "bundle"
    interrupted(phi3_checkpoint, out, after=14)
    report = run_export(plan_export(phi3_checkpoint, ExportOptions(symmetric=True)), out)
    assert report.resumed_bytes == 0
    clean = tmp_path / "clean" / "bundle"
    run_export(plan_export(phi3_checkpoint, ExportOptions(symmetric=True)), clean)
    assert hashes(out) == hashes(clean)
    assert [path.name for path in out.parent.iterdir()] == ["bundle"]


def test_an_interrupted_export_of_a_changed_checkpoint_is_not_resumed(tmp_path: Path) -> None:
    from tests.checkpoints import random_checkpoint

    first = random_checkpoint(tmp_path / "first" / "model", "phi3", seed=1)
    second = random_checkpoint(tmp_path / "second" / "model", "phi3", seed=2)
    out = tmp_path / "place" / "bundle"
    interrupted(first, out, after=14)
    report = export(second, out)
    assert report.resumed_bytes == 0
    assert verify(out).ok


def test_the_same_export_twice_at_once_is_refused_and_the_first_is_undisturbed(
    phi3_checkpoint: Path, tmp_path: Path, uninterrupted: dict[str, str]
) -> None:
    out = tmp_path / "bundle"
    refusals: list[UsageError] = []

    def try_again(_: Progress) -> None:
        with pytest.raises(UsageError) as raised:
            export(phi3_checkpoint, out)
        refusals.append(raised.value)

    export(phi3_checkpoint, out, try_again)
    assert "already writing" in str(refusals[0]) and str(out) in str(refusals[0]) and refusals[0].hint
    assert hashes(out) == uninterrupted


def test_of_two_different_exports_to_one_place_one_wins_whole(
    phi3_checkpoint: Path, tmp_path: Path, uninterrupted: dict[str, str]
) -> None:
    out = tmp_path / "bundle"
    others: list[Exception | None] = []

    def other(_: Progress) -> None:
        if not others:
            try:
                run_export(plan_export(phi3_checkpoint, ExportOptions(symmetric=True)), out)
                others.append(None)
            except UsageError as error:
                others.append(error)

    try:
        export(phi3_checkpoint, out, other)
        first_won = True
    except UsageError as error:
        assert "already exists" in str(error)
        first_won = False
    assert first_won != (others[0] is None)
    assert (hashes(out) == uninterrupted) == first_won
    assert verify(out).ok
    assert list(tmp_path.glob(".bundle*")) == []


@pytest.mark.parametrize("kind", ["a directory", "a file", "a dangling link", "an empty directory"])
def test_an_existing_target_is_refused_and_left_alone(phi3_checkpoint: Path, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "place"
    out = place / "bundle"
    place.mkdir()
    match kind:
        case "a directory":
            out.mkdir()
            (out / "precious").write_text("data")
        case "an empty directory":
            out.mkdir()
        case "a file":
            out.write_text("data")
        case _:
            out.symlink_to(place / "nowhere")
    with pytest.raises(UsageError, match="already exists"):
        export(phi3_checkpoint, out)
    assert [path.name for path in place.iterdir()] == ["bundle"]
    if kind == "a directory":
        assert (out / "precious").read_text() == "data"


@pytest.mark.parametrize("name", ["my bundle", ".hidden", "dot.", "naïve", "x" * 101, "a\nb", "-flag"])
def test_a_name_that_a_bundle_cannot_have_is_refused_before_any_work(
    phi3_checkpoint: Path, tmp_path: Path, name: str
) -> None:
    with pytest.raises(UsageError, match="name of a bundle"):
        export(phi3_checkpoint, tmp_path / "place" / name)
    assert not (tmp_path / "place").exists()


def test_equal_exports_are_equal_to_the_byte_wherever_they_are(
    phi3_checkpoint: Path, tmp_path: Path, uninterrupted: dict[str, str]
) -> None:
    out = tmp_path / "elsewhere" / "deep" / "bundle"
    export(phi3_checkpoint, out)
    assert hashes(out) == uninterrupted
