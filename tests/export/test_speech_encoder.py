"""The exported speech encoder and its projectors give what transformers and the original code give."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quant.formats import BlockFormat, ChannelFormat, FloatFormat, WeightFormat
from tests.export.speech_graph import SpeechExport, export_speech
from tests.export.speech_reference import (
    audio_embedding,
    log_mel,
    original,
    port,
    project,
    write_speech_checkpoint,
)

BRANCHES = {"speech": "speech", "vision": "vision_speech"}


@pytest.fixture(scope="module")
def module() -> Any:
    return audio_embedding()


@pytest.fixture(scope="module")
def checkpoint(module: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_speech_checkpoint(tmp_path_factory.mktemp("speech") / "checkpoint", module)


@pytest.fixture(scope="module")
def exported(checkpoint: Path) -> SpeechExport:
    return export_speech(checkpoint, checkpoint.with_name("float"), FloatFormat())


def worst_cosine(ours: np.ndarray, expected: np.ndarray) -> float:
    """Of all frames."""
    assert ours.shape == expected.shape
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(expected, axis=1)
    return float(((ours * expected).sum(axis=1) / norms).min())


@pytest.mark.parametrize("seconds", [0.2, 3.7, 39.9, 40.1, 95])
def test_a_clip_of_any_length_is_encoded_as_by_transformers(
    seconds: float, module: Any, exported: SpeechExport
) -> None:
    """Beyond 40 s that is whole-clip subsampling, then windows of 500 frames, the last one padded with zeros."""
    features = log_mel(seconds)
    expected = port(module, features)
    assert expected.std(axis=0).mean() > 0.2, "the reference hardly changes over time, agreement would say nothing"
    ours = exported.encode(features)
    assert worst_cosine(ours, expected) >= 0.9999
    np.testing.assert_allclose(ours, expected, atol=3e-5)


def test_each_projector_turns_frames_into_the_embeddings_of_its_branch(module: Any, exported: SpeechExport) -> None:
    encoded = exported.encode(log_mel(3.7))
    for ours, theirs in BRANCHES.items():
        np.testing.assert_allclose(exported.project(encoded, ours), project(module, encoded, theirs), atol=3e-5)


@pytest.mark.parametrize("lengths", [(1.23, 4.03), (1.23, 44.03, 40.5)], ids=["one window", "several windows"])
def test_several_clips_do_not_see_their_padding(
    lengths: tuple[float, ...], module: Any, exported: SpeechExport
) -> None:
    """As in the original code; its expectation is written out in the reference, transformers masks nothing."""
    clips = [log_mel(seconds, seed) for seed, seconds in enumerate(lengths)]
    longest = max(map(len, clips))
    for clip, expected in zip(clips, original(module, clips), strict=True):
        np.testing.assert_allclose(exported.encode(clip, padded_to=longest), expected, atol=3e-5)


def test_frames_behind_the_mask_are_finite_and_change_nothing_before_them(exported: SpeechExport) -> None:
    features, masked = log_mel(1.0), np.zeros(40, np.float32)
    alone = exported.window(features, 0, masked[:13])
    masked[13:] = -np.inf
    padded = exported.window(features, 0, masked)
    assert np.isfinite(padded).all()
    np.testing.assert_allclose(padded[:13], alone, atol=1e-5)
    assert np.abs(exported.window(features, 0, np.zeros(40, np.float32))[:13] - alone).max() > 0.1


def test_distances_beyond_the_table_and_a_wider_kernel_follow_the_config(tmp_path: Path) -> None:
    wide = audio_embedding(1, bias_max_distance=20, kernel_size=5, nemo_conv_channels=18)
    ours = export_speech(write_speech_checkpoint(tmp_path / "wide", wide), tmp_path / "float", FloatFormat())
    features = log_mel(8)
    np.testing.assert_allclose(ours.encode(features), port(wide, features), atol=3e-5)


@pytest.mark.parametrize(
    "fmt",
    [ChannelFormat(), BlockFormat(8, 32), BlockFormat(8, 128, activation_bits=16)],
    ids=["per channel", "blocks of 32", "blocks of 128, exact activations"],
)
def test_int8_keeps_every_frame_and_embedding_within_a_cosine_of_0_999(
    fmt: WeightFormat, module: Any, checkpoint: Path, tmp_path: Path
) -> None:
    quantised = export_speech(checkpoint, tmp_path / "int8", fmt)
    for seconds in (3.7, 44):
        features = log_mel(seconds)
        expected = port(module, features)
        encoded = quantised.encode(features)
        found = {"frames": worst_cosine(encoded, expected)}
        for ours, theirs in BRANCHES.items():
            found[ours] = worst_cosine(quantised.project(encoded, ours), project(module, expected, theirs))
        print(f"{fmt}, {seconds} s: worst cosine {found}")
        assert min(found.values()) >= 0.999
