"""A bundle on a processor answers as on the CPU, in every mode, and beyond the processor's window."""

from pathlib import Path

import numpy as np
import pytest

from edge.bundle.bundle import Bundle
from edge.providers.processor import Processor
from edge.runtime.decoder import Decoder
from edge.runtime.encoder import Encoders
from edge.runtime.processor_decoder import ProcessorDecoder
from export.exporter import run_export
from export.npu.shapes import FixedShapes
from export.options import ExportOptions
from export.plan import plan_export
from tests.npu.fixed_graphs import TERMINAL, relative_error
from tests.npu.planted import Honest

WINDOW = 128
FLOAT = ExportOptions(bits=32, fixed=FixedShapes(WINDOW, chunk=16, frames=32, rows=12))
ALL = ("text", "speech", "vision", "speech_encoder", "vision_encoder")


def export(checkpoint: Path, out: Path) -> Bundle:
    run_export(plan_export(checkpoint, FLOAT), out)
    return Bundle.open(out)


@pytest.fixture(scope="module")
def phi(phi3_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """With other rotary factors from 64 tokens on."""
    return export(phi3_checkpoint, tmp_path_factory.mktemp("phi") / "phi")


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return export(TERMINAL, tmp_path_factory.mktemp("terminal") / "terminal")


def decoder(bundle: Bundle, *parts: str) -> ProcessorDecoder:
    made = Processor(bundle, Honest(), parts or ALL, 1).decoder("text")
    assert isinstance(made, ProcessorDecoder)
    return made


def ids_of(bundle: Bundle, count: int) -> list[int]:
    return list(np.random.default_rng(count).integers(0, bundle.manifest.decoder.vocab_size, count))


def test_a_conversation_that_outgrows_the_window_goes_on_on_the_cpu_with_what_is_computed(phi: Bundle) -> None:
    ids = ids_of(phi, WINDOW + 40)
    reference, tried = Decoder.load(phi, 1), decoder(phi)
    for one in (reference, tried):
        one.reserve(100, True)
        one.prefill(ids[:100])
    assert not tried.on_cpu
    for place in range(100, len(ids)):
        for one in (reference, tried):
            one.reserve(place + 1, True)
        assert relative_error(tried.step(ids[place]), reference.step(ids[place])) < 1e-4
    assert tried.on_cpu
    assert tried.length == len(ids)


def test_the_next_conversation_is_the_processors_again(phi: Bundle) -> None:
    tried = decoder(phi)
    tried.reserve(WINDOW + 1, True)
    tried.prefill([1, 2, 3])
    assert tried.on_cpu
    tried.rewind(2)
    tried.reserve(10, True)
    assert tried.on_cpu  # two tokens are there
    tried.rewind(0)
    tried.reserve(10, True)
    assert not tried.on_cpu


def test_other_rotary_factors_apply_in_the_window_as_on_the_cpu(phi: Bundle) -> None:
    ids = ids_of(phi, 80)
    reference, tried = Decoder.load(phi, 1), decoder(phi)
    for long in (False, True):
        found = []
        for one in (reference, tried):
            one.reserve(80, long)
            assert one.length == 0
            found.append(one.prefill(ids, [40, 79]))
        assert relative_error(found[1], found[0]) < 1e-4
    assert not tried.on_cpu


def test_a_mode_that_was_not_proved_runs_on_the_cpu(terminal: Bundle) -> None:
    tried, reference = decoder(terminal, "text"), Decoder.load(terminal, 1, "speech")
    ids = ids_of(terminal, 20)
    tried.select("speech")
    assert tried.on_cpu
    for one in (tried, reference):
        one.reserve(20)
    assert relative_error(tried.prefill(ids), reference.prefill(ids)) < 1e-6
    tried.select("text")
    assert not tried.on_cpu
    assert tried.length == 0


@pytest.mark.parametrize("mode", ["text", "speech", "vision"])
def test_every_mode_has_the_logits_of_the_cpu_decoder(terminal: Bundle, mode: str) -> None:
    tried, reference = decoder(terminal), Decoder.load(terminal, 1, mode)
    ids, rows = ids_of(terminal, 40), np.arange(4, 14)
    media = np.random.default_rng(2).standard_normal((10, 256)).astype(np.float32) * np.float32(0.05)
    tried.select(mode)
    given = (media, rows) if mode != "text" else (None, None)
    for one in (tried, reference):
        one.reserve(40)
    assert relative_error(tried.prefill(ids, None, *given), reference.prefill(ids, None, *given)) < 1e-4
    assert not tried.on_cpu


@pytest.fixture(scope="module")
def encoders(terminal: Bundle) -> tuple[Encoders, Encoders]:
    """(on the CPU, on the processor)"""
    return Encoders.of(terminal, 1), Processor(terminal, Honest(), ALL, 1).encoders()


def features(rows: int) -> np.ndarray:
    return np.random.default_rng(rows).standard_normal((1, rows, 80)).astype(np.float32) * 2 + 10


@pytest.mark.parametrize(("rows", "skip"), [(1, 0), (104, 0), (105, 0), (256, 0), (264, 1), (200, 1), (400, 0)])
def test_recordings_of_any_length_have_the_frames_of_the_cpu(
    encoders: tuple[Encoders, Encoders], rows: int, skip: int
) -> None:
    """400 rows are more than the graph takes."""
    bias = np.zeros(-(-rows // 8) - skip, np.float32)
    given = {"features": features(rows), "skip": np.array([skip]), "key_bias": bias}
    expected, found = (one.run("speech_encoder", **given) for one in encoders)
    assert found.shape == expected.shape
    assert relative_error(found, expected) < 1e-4


def test_frames_that_are_masked_are_masked_there_too(encoders: tuple[Encoders, Encoders]) -> None:
    bias = np.zeros(20, np.float32)
    bias[13:] = -np.inf
    given = {"features": features(160), "skip": np.array([0]), "key_bias": bias}
    expected, found = (one.run("speech_encoder", **given) for one in encoders)
    assert relative_error(found[:13], expected[:13]) < 1e-4


@pytest.mark.parametrize("name", ["speech_projector", "vision_speech_projector"])
@pytest.mark.parametrize("count", [1, 12, 30])
def test_any_number_of_frames_is_projected(encoders: tuple[Encoders, Encoders], name: str, count: int) -> None:
    encoded = np.random.default_rng(count).standard_normal((count, 192)).astype(np.float32)
    expected, found = (one.run(name, encoded=encoded) for one in encoders)
    assert relative_error(found, expected) < 1e-4


@pytest.mark.parametrize(("rows", "columns", "hidden"), [(16, 16, 0), (8, 16, 0), (2, 6, 1)])
def test_crops_that_are_partly_empty_have_the_patches_of_the_cpu(
    encoders: tuple[Encoders, Encoders], rows: int, columns: int, hidden: int
) -> None:
    random = np.random.default_rng(rows)
    bias = np.zeros((rows, columns), np.float32)
    bias[:, columns - hidden :] = -np.inf
    given = {
        "pixels": random.standard_normal((1, 3, rows * 28, columns * 28)).astype(np.float32),
        "positions": (np.arange(rows)[:, None] * 16 + np.arange(columns)).reshape(1, -1),
        "key_bias": bias.reshape(1, -1),
    }
    expected, found = (one.run("vision_encoder", **given) for one in encoders)
    assert found.shape == expected.shape
    assert relative_error(found, expected) < 1e-4


def test_patches_are_put_in_reading_order_and_projected(encoders: tuple[Encoders, Encoders]) -> None:
    random = np.random.default_rng(5)
    patches = random.standard_normal((40, 128)).astype(np.float32)
    order = random.integers(0, 42, 50)
    expected, found = (one.run("vision_projector", patches=patches, order=order) for one in encoders)
    assert relative_error(found, expected) < 1e-4
