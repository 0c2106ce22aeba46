"""edge export --target arm64: blocks without zero points, with a recipe too, and every machine reads them."""

from pathlib import Path

import numpy as np
import onnx
import pytest

import edge
from edge.bundle.bundle import Bundle
from export.options import ExportOptions
from export.plan import plan_export
from export.recipes import NAMED
from quant.formats import BlockFormat
from tests.cli.child import assert_refused
from tests.cli.child import edge as edge_command

IDS = [1, 2, 3, 300, 301]


@pytest.fixture(scope="module")
def arm_bundle(phi3_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("arm") / "mini"
    assert edge_command("export", phi3_checkpoint, out, "--target", "arm64", "--no-fidelity").code == 0
    return out


def logits(bundle: Path) -> np.ndarray:
    decoder = edge.load(bundle).decoder
    decoder.reserve(len(IDS))
    return decoder.prefill(IDS)


def test_no_matrix_product_has_zero_points(arm_bundle: Path, phi3_bundle: Path) -> None:
    def products(bundle: Path) -> list[int]:
        nodes = onnx.load(bundle / "text.onnx", load_external_data=False).graph.node
        return [len([name for name in node.input if name]) for node in nodes if node.op_type == "MatMulNBits"]

    without, usual = products(arm_bundle), products(phi3_bundle)
    assert len(without) == len(usual)
    assert {*without} == {3} and {*usual} == {4}  # input, values, scales (, zero points)
    assert all(group.symmetric for group in Bundle.open(arm_bundle).manifest.quantisation if group.block)


def test_this_machine_computes_with_it_what_the_checkpoint_says(arm_bundle: Path, phi3_float_bundle: Path) -> None:
    exact, found = logits(phi3_float_bundle), logits(arm_bundle)
    assert np.linalg.norm(found - exact) < 0.5 * np.linalg.norm(exact)


@pytest.mark.parametrize("named", NAMED)
def test_recipes_leave_zero_points_out_as_well(phi3_checkpoint: Path, named: str) -> None:
    plan = plan_export(phi3_checkpoint, ExportOptions(named=named, symmetric=True))
    formats = [weight.source.format for weight in plan.weights]
    blocks = [one for one in formats if isinstance(one, BlockFormat)]
    assert {one.bits for one in blocks} == {4, 8}
    assert all(one.symmetric for one in blocks)


def test_another_target_is_refused(phi3_checkpoint: Path, tmp_path: Path) -> None:
    assert_refused(edge_command("export", phi3_checkpoint, tmp_path / "out", "--target", "riscv"), 2, "riscv")
    assert not (tmp_path / "out").exists()
