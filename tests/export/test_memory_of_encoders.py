"""Measuring recordings and pictures takes the encoders in float32: a limit on memory counts them, and is kept."""

import json
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnxruntime as ort
import pytest

from edge.errors import ResourceError
from export.calibration import text_flow
from export.exporter import run_export
from export.options import ExportOptions
from export.plan import ExportPlan, plan_export
from tests.checkpoints import random_checkpoint
from tests.export.command import edge_export
from tests.multimodal_checkpoints import write_native


@pytest.fixture(autouse=True)
def few_sequences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_flow, "LEARNED", 6)
    monkeypatch.setattr(text_flow, "HELD_OUT", 2)


@pytest.fixture(scope="module")
def multimodal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_native(tmp_path_factory.mktemp("checkpoints") / "multimodal")


def limited(plan: ExportPlan, limit: int) -> ExportPlan:
    return replace(plan, options=replace(plan.options, max_ram=limit))


def told(plan: ExportPlan, out: Path) -> dict[str, Any]:
    run_export(plan, out)
    return dict(json.loads((out / "fidelity.json").read_bytes()))


def test_with_too_little_memory_for_an_encoder_text_is_measured_and_the_report_says_what_is_not(
    multimodal: Path, tmp_path: Path
) -> None:
    options = ExportOptions(fidelity=True)
    limit = plan_export(multimodal, options).media_ram - 10**6
    small = plan_export(multimodal, replace(options, max_ram=limit))
    report, whole = told(small, tmp_path / "small"), told(plan_export(multimodal, options), tmp_path / "whole")
    needed = -(-small.media_ram // 10**6)
    assert report["modes"] == {"text": whole["modes"]["text"]}
    assert report["notes"] == [
        f"the modes speech and vision are not measured: that needs about {needed} MB, "
        f"--max-ram allows {limit // 10**6} MB"
    ]
    assert not whole["notes"]


def test_the_memory_that_the_note_asks_for_is_enough_for_all_modes_and_the_kernel_enforces_it(
    multimodal: Path, tmp_path: Path
) -> None:
    needed = -(-plan_export(multimodal, ExportOptions(fidelity=True)).media_ram // 10**6)
    done = edge_export(multimodal, tmp_path / "bundle", "--max-ram", f"{needed}MB", "--json")
    assert done.returncode == 0, done.stderr
    fidelity = json.loads(done.stdout)["fidelity"]
    assert set(fidelity["modes"]) == {"text", "speech", "vision"} and not fidelity["notes"]


def test_under_a_limit_encoders_are_opened_one_at_a_time_and_make_the_same(
    multimodal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: weakref.WeakSet[ort.InferenceSession] = weakref.WeakSet()
    together: list[int] = []

    class Counted(ort.InferenceSession):  # type: ignore[misc]
        def __init__(self, graph: Path, *rest: Any, **more: Any) -> None:
            if graph.stem.endswith("_encoder"):
                together.append(len(alive) + 1)
                alive.add(self)
            super().__init__(graph, *rest, **more)

    plan = plan_export(multimodal, ExportOptions(fidelity=True))
    monkeypatch.setattr("edge.runtime.session.ort.InferenceSession", Counted)
    free = told(plan, tmp_path / "free")
    assert max(together) > 1, "without a limit they stay open for the next question"
    assert not alive
    together.clear()
    small = told(limited(plan, plan.media_ram), tmp_path / "small")
    assert set(together) == {1}
    assert small["modes"] == free["modes"]


def test_calibrating_with_recordings_is_refused_where_an_encoder_does_not_fit(multimodal: Path) -> None:
    enough = plan_export(multimodal, ExportOptions(named="fast")).media_ram
    assert plan_export(multimodal, ExportOptions(named="fast", max_ram=enough)).peak_ram == enough
    with pytest.raises(ResourceError, match=f"--max-ram allows {(enough - 10**6) // 10**6} MB"):
        plan_export(multimodal, ExportOptions(named="fast", max_ram=enough - 10**6))
    assert plan_export(multimodal, ExportOptions(fidelity=True, max_ram=enough - 10**6)).measured


def test_a_model_without_ears_and_eyes_needs_no_memory_for_encoders(tmp_path: Path) -> None:
    plan = plan_export(random_checkpoint(tmp_path / "checkpoint", "llama"), ExportOptions(named="fast"))
    assert plan.encoders_ram == 0
    assert plan.peak_ram < plan_export(write_native(tmp_path / "multimodal"), ExportOptions(named="fast")).peak_ram
