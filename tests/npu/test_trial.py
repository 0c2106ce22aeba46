"""A processor proves itself before it is used; one that does not is told of, and the answer still comes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import edge
from edge.bundle.bundle import Bundle
from edge.errors import DeviceError
from edge.events import Done
from edge.providers import choice as choosing
from edge.providers.choice import choose
from edge.providers.plugin import Plugin
from edge.providers.verdicts import known_verdicts
from edge.turn_options import TurnOptions
from export.exporter import run_export
from export.npu.shapes import FixedShapes
from export.options import ExportOptions
from export.plan import plan_export
from tests.npu.planted import Crashing, Hanging, Honest, Raising, Refusing, Slow, Wrong

BAD = {
    Wrong: "text is wrong: ",
    Crashing: "text crashes (SIGSEGV)",
    Hanging: "text did not finish within 5 s",
    Refusing: "text is refused: ",
    Raising: "text is refused: planted cannot load npu.text.chunk.onnx: of the vendor",
}


@pytest.fixture(scope="module")
def bundle(phi3_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    out = tmp_path_factory.mktemp("npu") / "mini-npu"
    run_export(plan_export(phi3_checkpoint, ExportOptions(bits=32, fixed=FixedShapes(128, chunk=16))), out)
    return Bundle.open(out)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return tmp_path / "trace"


def opened(trace: Path) -> list[str]:
    return trace.read_text().splitlines() if trace.exists() else []


def planted(kind: type[Plugin], trace: Path) -> Plugin:
    return kind(options={"trace": str(trace)})


def limit(kind: type[Plugin]) -> float:
    """Only one that hangs needs to be short of time, and fails then however slow the machine is."""
    return 5.0 if kind is Hanging else 300.0


def answer(model: edge.Model) -> str:
    *_, done = model.conversation().generate("who are you?", TurnOptions(max_tokens=8))
    assert isinstance(done, Done)
    return done.text


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_processor_is_rejected_with_its_reason_and_the_answer_still_comes(
    kind: type[Plugin], bundle: Bundle, trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "PLUGINS", (planted(kind, trace),))
    monkeypatch.setattr(choosing, "LIMIT_S", limit(kind))
    told: list[str] = []
    model = edge.load(bundle.path, ep="planted", tell=told.append)
    assert answer(model) == answer(edge.load(bundle.path, ep="cpu"))
    assert model.compute == {"ep": "cpu"}
    assert BAD[kind] in told[-1]
    assert told[-1].endswith(": on the CPU instead")


@pytest.mark.parametrize("kind", BAD)
def test_a_rejected_processor_is_not_tried_again(kind: type[Plugin], bundle: Bundle, trace: Path) -> None:
    plugins = [planted(kind, trace)]
    assert choose(bundle, "text", "planted", plugins=plugins, limit_s=limit(kind)) is None
    first = opened(trace)
    assert first
    told: list[str] = []
    assert choose(bundle, "text", "planted", plugins=plugins, limit_s=limit(kind), tell=told.append) is None
    assert opened(trace) == first
    assert BAD[kind] in told[0]


def test_where_the_processor_is_required_a_bad_one_is_an_error(bundle: Bundle, trace: Path) -> None:
    with pytest.raises(DeviceError, match="planted is not used: text is wrong") as refused:
        choose(bundle, "text", "planted", required=True, plugins=[planted(Wrong, trace)])
    assert "cpu" in refused.value.hint


def test_a_slow_processor_is_used_only_when_it_is_asked_for(bundle: Bundle, trace: Path) -> None:
    plugins = [planted(Slow, trace)]
    told: list[str] = []
    assert choose(bundle, "text", plugins=plugins, tell=told.append) is None
    assert "the CPU 0." in told[-1]
    chosen = choose(bundle, "text", "planted", plugins=plugins)
    assert chosen
    assert chosen.parts == {"text"}


def test_the_verdict_holds_for_one_bundle_and_one_driver_only(bundle: Bundle, trace: Path, tmp_path: Path) -> None:
    honest = planted(Honest, trace)
    assert choose(bundle, "text", "planted", plugins=[honest])
    assert known_verdicts(bundle, honest)
    assert not known_verdicts(bundle, planted(Honest, tmp_path / "other"))  # another option is another driver
    changed = Bundle(bundle.path, bundle.manifest, "0" * 64)
    assert not known_verdicts(changed, honest)


def test_a_damaged_record_means_a_new_trial(bundle: Bundle, trace: Path, own_home: Path) -> None:
    honest = planted(Honest, trace)
    assert choose(bundle, "text", "planted", plugins=[honest])
    (record,) = (own_home / "cache" / "processors").iterdir()
    record.write_text('{"verdicts": 7}')
    before = len(opened(trace))
    assert choose(bundle, "text", "planted", plugins=[honest])
    assert len(opened(trace)) == 2 * before


def test_a_bundle_without_fixed_graphs_stays_on_the_cpu_and_says_what_to_export(phi3_bundle: Path, trace: Path) -> None:
    plain, plugins = Bundle.open(phi3_bundle), [planted(Honest, trace)]
    told: list[str] = []
    assert choose(plain, "text", "planted", plugins=plugins, tell=told.append) is None
    assert "has no graphs for planted" in told[0]
    with pytest.raises(DeviceError) as refused:
        choose(plain, "text", "planted", required=True, plugins=plugins)
    assert "--target qnn" in refused.value.hint


def test_a_name_that_nobody_knows_is_refused_with_those_that_are_known(bundle: Bundle) -> None:
    with pytest.raises(DeviceError, match="no execution provider 'warp'") as refused:
        choose(bundle, "text", "warp")
    assert "qnn" in refused.value.hint


@pytest.fixture(autouse=True)
def children_find_the_tests(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    yield
