"""edge doctor opens the microphone and the camera for a moment and says what it found."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.devices.sound_server import SoundServer
from edge.device_checks import check_camera, check_microphone


def test_a_microphone_that_hears_is_green_with_its_level(sound_server: SoundServer) -> None:
    sound_server.add("one")
    check = check_microphone()
    assert check.ok and not check.needed
    assert "dBFS" in check.detail and "no signal" in check.detail, "nobody speaks here"


def test_without_a_microphone_the_next_step_is_told(sound_server: SoundServer) -> None:
    check = check_microphone()
    assert not check.ok and not check.needed
    assert "no microphone" in check.detail and check.next_step


def test_a_microphone_that_was_named_is_needed(sound_server: SoundServer) -> None:
    sound_server.add("one")
    check = check_microphone("another", needed=True)
    assert not check.ok and check.needed
    assert "'another'" in check.detail


def test_a_picture_stands_for_a_camera_and_its_size_is_told(tmp_path: Path) -> None:
    rgb = np.random.default_rng(1).integers(0, 255, (60, 80, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "view.png"), rgb)
    check = check_camera(str(tmp_path / "view.png"))
    assert check.ok and "80 × 60" in check.detail


@pytest.mark.parametrize("source", ["nowhere.png", "black.png"])
def test_a_camera_that_was_named_but_shows_nothing_is_red(tmp_path: Path, source: str) -> None:
    cv2.imwrite(str(tmp_path / "black.png"), np.zeros((60, 80, 3), np.uint8))
    check = check_camera(str(tmp_path / source))
    assert not check.ok and check.needed
    assert check.detail and check.next_step
