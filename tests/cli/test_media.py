"""Recordings and pictures on the command line: what a user types, sees, and is told when it is wrong."""

import re
import wave
from pathlib import Path

import cv2
import numpy as np
import pytest

from export.exporter import run_export
from export.options import ExportOptions
from export.plan import plan_export
from tests.cli.child import assert_refused, edge
from tests.multimodal_checkpoints import write_native


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("media")
    run_export(plan_export(write_native(root / "native"), ExportOptions()), root / "mini-multimodal")
    return root / "mini-multimodal"


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Two seconds of a tone, 16 kHz mono."""
    samples = (8000 * np.sin(np.arange(32_000) * 0.3)).astype("<i2")
    with wave.open(str(tmp_path / "clip.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    return tmp_path / "clip.wav"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """448 × 448 pixels, one crop beside the overview: 545 tokens."""
    pixels = np.random.default_rng(0).integers(0, 255, (448, 448, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "picture.png"), pixels)
    return tmp_path / "picture.png"


def test_usage_counts_the_tokens_of_each_modality(bundle: Path, clip: Path, picture: Path) -> None:
    told = edge("run", "-b", bundle, "-i", picture, "-a", clip, "--json", "-n", 3, "What is it?").json()
    assert told["mode"] == "vision_speech"
    # two seconds are 198 feature frames, 8 to a token
    assert (told["usage"]["image_tokens"], told["usage"]["audio_tokens"]) == (545, 25)
    assert told["usage"]["prompt_tokens"] > 570
    assert 0 < told["timing"]["encode_s"] < told["timing"]["ttft_s"]


def test_a_recording_needs_no_words_beside_it(bundle: Path, clip: Path) -> None:
    told = edge("run", "-b", bundle, "-a", clip, "--json", "-n", 3, "").json()
    assert (told["mode"], told["usage"]["audio_tokens"]) == ("speech", 25)


def test_max_crops_makes_a_large_picture_cheaper(bundle: Path, tmp_path: Path) -> None:
    large = tmp_path / "large.jpg"
    cv2.imwrite(str(large), np.full((1344, 1344, 3), 90, np.uint8))
    fine = edge("run", "-b", bundle, "-i", large, "--json", "-n", 1, "?").json()["usage"]["image_tokens"]
    coarse = edge("run", "-b", bundle, "-i", large, "--json", "-n", 1, "--max-crops", 1, "?").json()
    assert (fine, coarse["usage"]["image_tokens"]) == (2625, 545)


def test_a_wanted_time_to_first_token_chooses_the_tiling_and_says_what_to_expect(bundle: Path, tmp_path: Path) -> None:
    large = tmp_path / "large.jpg"
    cv2.imwrite(str(large), np.full((1344, 1344, 3), 90, np.uint8))
    hasty = edge("run", "-b", bundle, "-i", large, "--json", "-n", 1, "--ttft", 0.001, "?")
    assert hasty.json()["usage"]["image_tokens"] == 545
    assert re.search(r"at most 1 crops: first token after about .* more than the 0\.001 s wanted", hasty.err)
    patient = edge("run", "-b", bundle, "-i", large, "--json", "-n", 1, "--ttft", 1000, "?")
    assert patient.json()["usage"]["image_tokens"] == 2625


def test_passing_the_short_context_is_announced(bundle: Path, tmp_path: Path) -> None:
    huge = tmp_path / "huge.jpg"
    cv2.imwrite(str(huge), np.full((1800, 1790, 3), 90, np.uint8))
    result = edge("run", "-b", bundle, "-i", huge, "-n", 1, "?")
    assert result.code == 0
    assert re.search(r"[\d,]+ tokens: beyond 4,096 the factors for long positions apply", result.err)


def test_chat_attaches_files_to_the_next_line_and_announces_the_mode(bundle: Path, clip: Path, picture: Path) -> None:
    lines = f"hello\n/image {picture}\nwhat is this?\n/audio {clip}\nand this?\n/quit\n"
    result = edge("chat", "-b", bundle, "-n", 2, stdin=lines.encode())
    assert result.code == 0
    assert re.search(r"text → vision, reading \d+ tokens again", result.err)
    assert "vision → vision_speech\n" in result.err, "the same adapter: nothing is read again"


@pytest.mark.parametrize(("flag", "value"), [("--max-crops", 0), ("--max-crops", 37), ("--ttft", 0), ("--ttft", "nan")])
def test_a_tiling_that_cannot_be_is_refused(bundle: Path, picture: Path, flag: str, value: object) -> None:
    assert_refused(edge("run", "-b", bundle, "-i", picture, flag, value, "?"), 2, flag)


def test_more_crops_than_the_model_was_trained_with_are_refused_by_every_verb_before_it_answers(
    bundle: Path, picture: Path
) -> None:
    for verb in (["run", "-i", picture, "?"], ["run", "no picture"], ["chat"]):
        told = edge(*verb, "-b", bundle, "--max-crops", 37)
        assert_refused(told, 2, "--max-crops is 37, but mini-multimodal sees at most 36 crops")


def test_unusable_media_are_refused_before_the_bundle_is_touched(tmp_path: Path, clip: Path, picture: Path) -> None:
    """A wrong extension is no hint: a picture given as a recording is told so, and the other way round."""
    empty, missing = tmp_path / "empty.wav", tmp_path / "nowhere.png"
    empty.write_bytes(b"")
    for option, path in (("-a", picture), ("-i", clip), ("-a", empty), ("-i", missing)):
        assert_refused(edge("run", "-b", tmp_path / "no-bundle", option, path, "?"), 4, path.name)


def test_a_text_bundle_says_that_it_cannot_take_media(phi3_bundle: Path, clip: Path) -> None:
    assert_refused(edge("run", "-b", phi3_bundle, "-a", clip, "?"), 4, "speech")
