"""edge export --target qnn: the bundle for the CPU, and graphs of fixed shapes over the same weights."""

from pathlib import Path

import pytest

from edge.bundle.bundle import Bundle
from edge.bundle.manifest import FIXED
from edge.runtime.tune import tune
from export.exporter import run_export
from export.npu.shapes import FixedShapes
from export.options import ExportOptions
from export.plan import plan_export
from tests.cli.child import assert_refused, edge


@pytest.fixture(scope="module")
def bundles(phi3_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Bundle]:
    """(for the CPU alone, for a neural processor as well)"""
    folder, made = tmp_path_factory.mktemp("targets"), []
    for name, fixed in (("cpu", None), ("qnn", FixedShapes(128))):
        run_export(plan_export(phi3_checkpoint, ExportOptions(fixed=fixed)), folder / name)
        made.append(Bundle.open(folder / name))
    return made[0], made[1]


def test_both_targets_share_one_file_of_weights(bundles: tuple[Bundle, Bundle]) -> None:
    cpu, qnn = (bundle.manifest for bundle in bundles)
    assert cpu.files["weights.bin"] == qnn.files["weights.bin"]
    more = {name for name in qnn.graphs if name not in cpu.graphs}
    assert more == {FIXED + name for name in ("embedding", "head", "text.chunk", "text.step")}


def test_tuning_for_this_cpu_leaves_the_processors_graphs_alone(bundles: tuple[Bundle, Bundle]) -> None:
    cpu, qnn = ({file.name for file in tune(bundle).path.iterdir()} for bundle in bundles)
    assert cpu == qnn


def test_the_cpu_answers_from_such_a_bundle(bundles: tuple[Bundle, Bundle]) -> None:
    cpu, qnn = (edge("run", "-b", bundle.path, "hello", "-n", 8, "--ep", "cpu") for bundle in bundles)
    assert cpu.code == qnn.code == 0
    assert cpu.out == qnn.out


def test_the_command_line_makes_such_a_bundle(phi3_checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert edge("export", phi3_checkpoint, out, "--target", "qnn", "--window", 256, "--no-fidelity").code == 0
    assert edge("bundle", "verify", out).code == 0
    assert (out / "npu.text.step.onnx").is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--window", 512), "only a neural processor has a window"),
        (("--target", "qnn", "--window", 16), "only 128 to 131,072"),
        (("--target", "qnn", "--recipe", "fast", "--kv-bits", 8), "keeps its KV cache in float"),
    ],
)
def test_what_makes_no_sense_for_a_processor_is_refused_before_anything_is_written(
    phi3_checkpoint: Path, tmp_path: Path, arguments: tuple[object, ...], words: str
) -> None:
    assert_refused(edge("export", phi3_checkpoint, tmp_path / "out", *arguments), 2, words)
    assert not list(tmp_path.glob("*out*"))


def test_a_processor_must_be_named_to_be_required(phi3_bundle: Path) -> None:
    assert_refused(edge("run", "-b", phi3_bundle, "hello", "--require-ep"), 2, "--require-ep needs a processor")


def test_a_required_processor_that_has_no_graphs_is_an_error(phi3_bundle: Path) -> None:
    refused = edge("run", "-b", phi3_bundle, "hello", "--ep", "qnn", "--require-ep")
    assert_refused(refused, 5, "qnn")
    assert "--target qnn" in refused.err or "pip install" in refused.err
