"""`edge run --mic` and `--camera`: one question from the devices."""

import signal
from pathlib import Path

import cv2
import numpy as np

from benchmarks.demo import __main__ as demo
from benchmarks.devices.sound_server import SoundServer
from tests.cli.child import assert_refused, edge, running
from tests.cli.listen_program import SPOKEN, play

DISPLAY = demo.FOLDER / "display.jpg"


def test_the_next_words_are_the_question(booth: SoundServer) -> None:
    with running("run", "--mic", "-n", 60, "--tools", demo.FOLDER / "tools.json", on_terminal=("stderr",)) as child:
        child.wait_for("listening")
        play(booth, SPOKEN)
        child.wait_for("hearing you")
        assert child.finish() == 0
        assert child.process.stdout
        assert '"set_speed"' in child.process.stdout.read().decode()


def test_a_signal_while_it_listens_ends_it(booth: SoundServer) -> None:
    with running("run", "--mic", on_terminal=("stderr",)) as child:
        child.wait_for("listening")
        child.signal(signal.SIGTERM)
        assert child.finish() == 143
    assert "Traceback" not in child.seen


def test_without_a_microphone_the_next_step_is_told() -> None:
    assert_refused(edge("run", "--mic", PULSE_SERVER="unix:/nowhere"), 5)


def test_the_picture_of_a_camera_is_read_like_that_of_a_file() -> None:
    camera = edge("run", "--camera", DISPLAY, "Read the display.")
    assert camera.code == 0
    assert camera.out == edge("run", "-i", DISPLAY, "Read the display.").out


def test_a_black_picture_is_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "black.png"), np.zeros((60, 80, 3), np.uint8))
    assert_refused(edge("run", "--camera", tmp_path / "black.png", "Read the display."), 5, "black")


def test_a_microphone_without_mic_is_a_mistake() -> None:
    assert_refused(edge("run", "--microphone", "desk", "hello"), 2, "--mic")
