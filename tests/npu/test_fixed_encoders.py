"""The encoders in fixed shapes: what lies behind a clip or beside a picture has no influence."""

import numpy as np
import pytest

from edge.runtime.fixed_window import HIDDEN
from export.options import ExportOptions
from tests.npu.fixed_graphs import TERMINAL, Exported, exported, on_cpu, relative_error, speech_inputs


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return exported(TERMINAL, tmp_path_factory.mktemp("float"), ExportOptions(bits=32))


@pytest.fixture(scope="module")
def int8(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return exported(TERMINAL, tmp_path_factory.mktemp("int8"), ExportOptions(bits=8))


def features(rows: int) -> np.ndarray:
    return np.random.default_rng(rows).standard_normal((rows, 80)).astype(np.float32) * 2 + 10


def heard(of: Exported, clip: np.ndarray, skip: int = 0) -> np.ndarray:
    """By the encoder of the CPU, in float32 or int8."""
    frames = -(-len(clip) // 8) - skip
    bias = np.zeros(frames, np.float32)
    return of.encoders().run("speech_encoder", features=clip[None], skip=np.array([skip]), key_bias=bias)


@pytest.mark.parametrize("rows", [1, 8, 100, 101, 102, 104, 105, 256])
def test_a_clip_of_any_length_has_the_frames_of_the_cpu_encoder(exact: Exported, rows: int) -> None:
    clip = features(rows)
    expected = heard(exact, clip)
    found = on_cpu(exact.speech(32)).run(None, speech_inputs(clip, 32))[0][0, : len(expected)]
    assert relative_error(found, expected) < 1e-4


def test_a_later_window_sees_one_frame_of_its_past(exact: Exported) -> None:
    clip = features(8 * 33)
    expected = heard(exact, clip, skip=1)
    found = on_cpu(exact.speech(32, skip=1)).run(None, speech_inputs(clip, 32, skip=1))[0][0]
    assert relative_error(found, expected) < 1e-4


def test_int8_weights_with_uint16_activations_are_closer_to_float_than_with_int8(
    exact: Exported, int8: Exported
) -> None:
    clip = features(200)
    expected = heard(exact, clip)
    found = on_cpu(int8.speech(32)).run(None, speech_inputs(clip, 32))[0][0, : len(expected)]
    assert relative_error(found, expected) < relative_error(heard(int8, clip), expected)


def crop(rows: int, columns: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """(for the CPU, only what is of use; for the fixed graph, the whole) of a crop with rows × columns patches."""
    random, side = np.random.default_rng(rows), 16
    pixels = random.standard_normal((1, 3, 448, 448)).astype(np.float32)
    positions = np.zeros((side, side), np.int64)
    positions[:rows, :columns] = np.arange(rows)[:, None] * side + np.arange(columns)
    bias = np.full((side, side), HIDDEN, np.float32)
    bias[:rows, :columns] = 0
    cut = {
        "pixels": np.ascontiguousarray(pixels[:, :, : rows * 28, : columns * 28]),
        "positions": positions[:rows, :columns].reshape(1, -1),
        "key_bias": bias[:rows, :columns].reshape(1, -1),
    }
    whole = {"pixels": pixels, "positions": positions.astype(np.int32).reshape(1, -1)}
    return cut, whole | {"key_bias": bias.reshape(1, 1, 1, -1)}


@pytest.mark.parametrize(("rows", "columns"), [(16, 16), (8, 16), (2, 6)])
def test_a_crop_has_the_patches_of_the_cpu_encoder(exact: Exported, rows: int, columns: int) -> None:
    cut, whole = crop(rows, columns)
    expected = exact.encoders().run("vision_encoder", **cut)[0]
    found = on_cpu(exact.vision()).run(None, whole)[0].reshape(8, 8, -1)[: rows // 2, : columns // 2]
    assert relative_error(found.reshape(expected.shape), expected) < 1e-4


def test_frames_are_projected_as_on_the_cpu_whatever_stands_behind_them(exact: Exported) -> None:
    encoded = np.random.default_rng(3).standard_normal((12, 192)).astype(np.float32)
    expected = exact.encoders().run("speech_projector", encoded=encoded[:7])
    found = on_cpu(exact.speech_projector(12)).run(None, {"encoded": encoded[None]})[0][0, :7]
    assert relative_error(found, expected) < 1e-4
