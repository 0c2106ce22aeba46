"""Qualcomm's compiler and simulator take whole graphs, and compute what the CPU provider computes.

Simulated: a chunk takes a second and a token a third of one, so there is little of everything here.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import edge
from edge.bundle.bundle import Bundle
from edge.errors import DeviceError
from edge.providers.graphs import ON_CPU, ProcessorGraphs
from edge.providers.plugin import plugin
from edge.providers.processor import Processor
from edge.providers.session import open_on, placement
from export.exporter import run_export
from export.npu.shapes import FixedShapes
from export.options import ExportOptions
from export.plan import plan_export
from tests.checkpoints import random_checkpoint
from tests.cli.child import edge as edge_command
from tests.npu.fixed_graphs import TERMINAL, Exported, exported, on_cpu, relative_error, speech_inputs
from tests.npu.planted import Honest
from tests.npu.test_fixed_encoders import crop, features

QNN = plugin("qnn")
pytestmark = pytest.mark.skipif(not QNN.installed, reason="onnxruntime-qnn is not installed: pip install phi-edge[npu]")

ONLY_HTP = {"QNNExecutionProvider"}


@pytest.fixture(scope="module", params=[(4, 32, True), (4, 32, False), (8, 64, False)], ids=["4s", "4", "8"])
def terminal(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return exported(TERMINAL, tmp_path_factory.mktemp("terminal"), ExportOptions(*request.param))


def both(graph: Path, inputs: dict[str, np.ndarray]) -> list[float]:
    """Relative errors of the outputs against the CPU provider; the session must be on the device alone."""
    session = open_on(QNN, graph)
    assert set(placement(session)) == ONLY_HTP
    return [
        relative_error(a, b) for a, b in zip(session.run(None, inputs), on_cpu(graph).run(None, inputs), strict=True)
    ]


def decoder_inputs(graph: Path) -> dict[str, np.ndarray]:
    """Random, with half of the window filled."""
    random, inputs = np.random.default_rng(0), {}
    for one in on_cpu(graph).get_inputs():
        inputs[one.name] = random.standard_normal(one.shape).astype(np.float32)
    tokens, total = inputs["mask"].shape[-2:]
    past = total - tokens
    inputs["mask"][:] = -1e4
    inputs["mask"][..., : past // 2] = 0
    inputs["mask"][..., past:] = np.where(np.tri(tokens, dtype=bool), 0, -1e4)
    return inputs


def test_blocks_that_do_not_fit_into_a_row_run_on_the_processor_as_well(tmp_path: Path) -> None:
    checkpoint = random_checkpoint(tmp_path / "narrow", "llama", hidden_size=48, intermediate_size=80)
    graph = exported(checkpoint, tmp_path, ExportOptions(4, 128)).layers(1, 32)
    assert max(both(graph, decoder_inputs(graph))) < 0.01


@pytest.mark.parametrize(("tokens", "lora"), [(16, ""), (1, ""), (1, "speech")])
def test_every_layer_runs_on_the_processor_within_one_percent(terminal: Exported, tokens: int, lora: str) -> None:
    graph = terminal.layers(tokens, 64, lora)
    assert max(both(graph, decoder_inputs(graph))) < 0.01


def test_the_head_runs_on_the_processor_within_one_percent(terminal: Exported) -> None:
    hidden = np.random.default_rng(1).standard_normal((1, 1, 256)).astype(np.float32)
    assert max(both(terminal.head(), {"hidden": hidden})) < 0.01


def test_the_speech_encoder_runs_on_the_processor_within_one_percent(tmp_path: Path) -> None:
    encoders = exported(TERMINAL, tmp_path, ExportOptions(bits=8))
    assert max(both(encoders.speech(8), speech_inputs(features(64), 8))) < 0.01


def test_a_projector_runs_on_the_processor_within_one_percent(tmp_path: Path) -> None:
    encoded = np.random.default_rng(3).standard_normal((1, 12, 192)).astype(np.float32)
    graph = exported(TERMINAL, tmp_path, ExportOptions(bits=8)).speech_projector(12)
    assert max(both(graph, {"encoded": encoded})) < 0.01


@pytest.mark.slow
def test_the_vision_encoder_runs_on_the_processor_within_one_percent(tmp_path: Path) -> None:
    encoders = exported(TERMINAL, tmp_path, ExportOptions(bits=8))
    assert max(both(encoders.vision(), crop(16, 16)[1])) < 0.01


def test_a_graph_that_the_processor_does_not_take_is_refused_by_name(terminal: Exported) -> None:
    with pytest.raises(DeviceError, match=r"qnn does not take all of embedding\.onnx"):
        open_on(QNN, terminal.embedding())


def test_what_the_vendor_prints_does_not_mix_with_what_a_program_prints(terminal: Exported) -> None:
    program = """
import sys
from pathlib import Path
import numpy as np
from edge.providers.plugin import plugin
from edge.providers.session import open_on
session = open_on(plugin("qnn"), Path(sys.argv[1]))
session.run(None, {"hidden": np.ones((1, 1, 256), np.float32)})
print("an answer")
"""
    ran = subprocess.run([sys.executable, "-c", program, terminal.head()], capture_output=True, text=True, check=True)
    assert ran.stdout == "an answer\n"


@pytest.fixture(scope="module")
def mini(phi3_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """int8 in blocks, so that the CPU and the processor round alike."""
    out = tmp_path_factory.mktemp("htp") / "mini"
    run_export(plan_export(phi3_checkpoint, ExportOptions(8, 64, fixed=FixedShapes(128, chunk=16))), out)
    return out


def test_the_processor_answers_as_its_graphs_do_on_the_cpu(mini: Path) -> None:
    model = edge.load(mini, ep="qnn", require_ep=True)
    counted = {name: set(nodes) for name, nodes in model.compute["nodes"].items() if name not in ON_CPU}
    assert counted == dict.fromkeys(("text.chunk", "text.step", "head"), ONLY_HTP)
    reference = Processor(model.bundle, Honest(), ["text"], 1).decoder("text")
    found = []
    for decoder in (model.decoder, reference):
        decoder.reserve(32)
        rows = [decoder.prefill([3, 1, 4, 1, 5])[0]]
        for _ in range(8):
            rows.append(decoder.step(int(rows[-1].argmax())))
        found.append(np.array(rows))
    assert (found[0].argmax(axis=1) == found[1].argmax(axis=1)).all()
    assert relative_error(*found) < 0.01


def test_tuning_for_the_processor_tries_and_compiles_ahead_of_time(mini: Path, own_home: Path) -> None:
    tuned = edge_command("bundle", "tune", mini, "--ep", "qnn")
    assert tuned.code == 0, tuned.err
    assert "right" in tuned.out
    assert len([*own_home.glob("cache/compiled/*/*/*.bin")]) == 3  # a chunk, a step, the head
    again = edge_command("run", "-b", mini, "hello", "-n", 1, "--ep", "qnn", "--require-ep")
    assert again.code == 0, again.err
    assert "trying" not in again.err
    assert "on qnn: head (" in again.err and "on the CPU: embedding" in again.err


def test_what_was_compiled_is_loaded_and_what_was_touched_is_compiled_again(mini: Path, own_home: Path) -> None:
    bundle = Bundle.open(mini)
    ProcessorGraphs(bundle, QNN).open("text.step")
    (binary,) = own_home.glob("cache/compiled/*/text.step/*.bin")
    made = binary.stat().st_mtime_ns
    again = ProcessorGraphs(bundle, QNN)
    assert len(again.open("text.step").get_inputs()) > 4
    assert binary.stat().st_mtime_ns == made
    assert again.placed["text.step"]["QNNExecutionProvider"] > 100  # nodes of the graph, not of what became of it
    binary.write_bytes(binary.read_bytes()[:1000])
    assert ProcessorGraphs(bundle, QNN).open("text.step")
    assert binary.stat().st_size > 1000
