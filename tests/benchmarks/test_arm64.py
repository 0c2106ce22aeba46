"""What the comparison with an emulated ARM machine calls the same, a tie and a fault; and that it may be left out."""

import json
import math
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks.arm64.__main__ import bundles
from benchmarks.arm64.answers import Answer
from benchmarks.arm64.compare import TIE, compare
from benchmarks.arm64.machines import MACHINES, Machine
from benchmarks.arm64.root import Root
from benchmarks.arm64.subset import FILES
from edge.bundle.bundle import Bundle
from edge.cpu import cpu_flags, require_cpu
from tests.cli.child import ROOT

FIRST: tuple[int, dict[int, float]] = (7, {7: -0.1, 8: -3.0})


def answer(*tokens: tuple[int, dict[int, float]], calls: tuple[str, ...] = ()) -> Answer:
    return Answer("text", "text", "", [{"name": name} for name in calls], list(tokens))


def test_equal_tokens_are_the_same_and_drift_is_how_far_their_probabilities_moved() -> None:
    found = compare(answer(FIRST), answer((7, {7: -0.15, 8: -2.0})))
    assert found.ok and str(found) == "same (1)"
    assert found.drift == pytest.approx(0.05)


def test_another_token_is_a_tie_when_both_machines_nearly_chose_the_other_one() -> None:
    found = compare(answer(FIRST, (1, {1: -0.7, 2: -0.8})), answer(FIRST, (2, {2: -0.74, 1: -0.76})))
    assert found.ok and found.equal == 1
    assert found.gap == pytest.approx(0.1)
    assert str(found) == "1 of 2, then tied (0.100, 0.020)"


def test_another_token_is_a_fault_when_either_machine_was_sure() -> None:
    found = compare(answer(FIRST, (1, {1: -0.1, 2: -0.1 - 2 * TIE})), answer(FIRST, (2, {2: -0.1})))
    assert not found.ok and "NOT tied" in str(found)
    found = compare(answer((1, {1: -0.7, 2: -0.8})), answer((2, {2: -0.1, 1: -0.1 - 2 * TIE})))
    assert not found.ok and "NOT tied" in str(found)


def test_a_token_that_is_not_among_the_best_is_never_a_tie() -> None:
    assert compare(answer(FIRST), answer((9, {9: -0.1}))).gap == math.inf


def test_an_answer_that_ends_sooner_or_calls_something_else_is_not_the_same() -> None:
    assert not compare(answer(FIRST, FIRST), answer(FIRST)).ok
    assert not compare(answer(FIRST, calls=("stop",)), answer(FIRST, calls=("start",))).ok


def test_answers_survive_the_way_through_json() -> None:
    one = answer(FIRST, calls=("stop",))
    assert Answer.of(json.loads(json.dumps(asdict(one)))) == one


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.cpu)
def test_every_machine_describes_a_cpu_that_the_runtime_accepts(machine: Machine, tmp_path: Path) -> None:
    info, system = machine.describe(tmp_path)
    require_cpu(info, "aarch64")
    assert ("asimddp" in cpu_flags(info)) == ("no dot product" not in machine.like)
    assert info.read_text().count("processor") == (os.cpu_count() or 1)
    assert (system / "possible").read_text().startswith("0")


def test_the_int4_bundle_that_is_asked_there_has_no_zero_points(tmp_path: Path) -> None:
    (tmp_path / "root" / "project").mkdir(parents=True)
    embedded, (out, inside) = bundles(Root(tmp_path)).values()
    assert embedded == () and Path(out) == tmp_path / "root" / inside.lstrip("/")
    blocks = [group for group in Bundle.open(Path(out)).manifest.quantisation if group.block]
    assert {group.bits for group in blocks} == {4}
    assert all(group.symmetric for group in blocks)


def test_the_tests_that_run_there_exist() -> None:
    assert all((ROOT / file).is_file() for file in FILES)


def test_where_nothing_can_be_emulated_the_benchmark_says_why_and_does_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.arm64", "--work", str(tmp_path / "work")]
    env = {"PATH": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("skipped: ") and "debootstrap" in done.stdout
    assert not (tmp_path / "work").exists()
