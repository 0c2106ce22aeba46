"""`edge listen` with a real microphone process on a real sound server: what is played is heard and answered."""

import json
import shutil
import signal
import subprocess
import termios
import time
from dataclasses import replace
from pathlib import Path

import cv2
import pytest

from benchmarks.demo import __main__ as demo
from benchmarks.devices.sound_server import SoundServer
from edge.live.errands import READ_S
from tests.cli.child import COMMAND, DEADLINE, ROOT, assert_refused, edge, environment
from tests.cli.listen_program import ASKED, SIGNALS, SPOKEN, Start, command_of, on_terminal, play, tools_file
from tests.live.tools_files import until


def test_a_spoken_command_is_answered_once_by_a_call_that_runs(
    booth: SoundServer, start: Start, tmp_path: Path
) -> None:
    program = start("--tools", tools_file(tmp_path, "echo", "{machine} {number} {percent}"))
    program.until("state", state="listening")
    play(booth, SPOKEN)
    answer = program.until("answer")
    (call,) = answer["tool_calls"]
    assert (call["name"], answer["mode"], answer["finish_reason"]) == ("set_speed", "speech", "tool_calls")
    assert 1.5 < answer["spoken_s"] < 3.5 and 0 <= answer["first_token_s"] < answer["after_voice_s"]
    outcome = json.loads(program.until("outcome")["result"])
    assert outcome == {"ok": True, "output": "{machine} {number} {percent}".format(**call["arguments"])}
    program.until("state", state="listening")
    assert program.leave(signal.SIGTERM) == 143
    assert len(program.told("answer")) == 1
    assert all(event["schema"] == 1 for event in program.events)


def test_what_is_not_safe_does_not_run_where_nobody_can_confirm_it(
    booth: SoundServer, start: Start, tmp_path: Path
) -> None:
    program = start("--tools", tools_file(tmp_path, "touch", str(tmp_path / "unlocked"), safe=False))
    program.until("state", state="listening")
    play(booth, SPOKEN)
    assert "nobody can confirm it here" in program.until("outcome", ok=False)["result"]
    program.until("state", state="listening")
    assert program.leave(signal.SIGTERM) == 143
    assert not (tmp_path / "unlocked").exists()


def test_a_picture_file_stands_in_for_the_camera(booth: SoundServer, start: Start, tmp_path: Path) -> None:
    display = tmp_path / "display.png"
    pixels = cv2.imread(str(demo.FOLDER / "display.jpg"))
    cv2.imwrite(str(display), pixels)
    program = start("--camera", display)
    program.until("camera", state="live")
    program.until("state", state="listening")
    play(booth, ASKED)
    answer = program.until("answer")
    assert answer["mode"] == "vision_speech" and answer["usage"]["image_tokens"] > 0
    (picture,) = program.told("picture")
    assert (picture["height"], picture["width"]) == pixels.shape[:2]
    assert program.leave(signal.SIGTERM) == 143


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_signal_while_listening_ends_the_program_and_its_processes(
    booth: SoundServer, start: Start, number: signal.Signals, code: int
) -> None:
    program = start()
    program.until("state", state="listening")
    assert program.descendants(), "somebody records"
    assert program.leave(number) == code


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_signal_while_the_bundle_is_loaded_ends_the_program(
    booth: SoundServer, start: Start, number: signal.Signals, code: int
) -> None:
    program = start()
    program.until("microphone")
    assert program.leave(number) == code


def test_a_signal_while_a_call_runs_ends_the_call(booth: SoundServer, start: Start, tmp_path: Path) -> None:
    program = start("--tools", tools_file(tmp_path, "sleep", "600"))
    program.until("state", state="listening")
    play(booth, SPOKEN)
    program.until("state", state="acting")
    until(lambda: any(b"sleep\x00600" in command_of(pid) for pid in program.descendants()))
    assert program.leave(signal.SIGINT) == 130


def test_without_a_microphone_it_says_what_is_missing_and_waits_for_one(start: Start, tmp_path: Path) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    program = start(PULSE_SERVER="unix:/nonexistent", PYTHONPATH=str(tmp_path))
    told = program.until("microphone", state="absent")
    assert (told["reason"], told["hint"]) == ("the PortAudio library is missing", "sudo apt install libportaudio2")
    program.until("state", state="deaf")
    assert program.leave(signal.SIGTERM) == 143


def test_a_reader_that_goes_away_ends_the_program_quietly(booth: SoundServer) -> None:
    process = subprocess.Popen(
        [*COMMAND, "listen", "--json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        cwd=ROOT,
    )
    assert process.stdout and process.stderr
    assert json.loads(process.stdout.readline())["event"] == "microphone"
    process.stdout.close()
    assert process.wait(DEADLINE) == 0
    assert process.stderr.read() == b""
    process.stderr.close()


def test_on_a_terminal_a_call_is_asked_about_and_the_terminal_is_given_back(booth: SoundServer, tmp_path: Path) -> None:
    tools = tools_file(tmp_path, "touch", str(tmp_path / "done"), safe=False)
    with on_terminal("--tools", tools) as child:
        before = termios.tcgetattr(child.terminal)
        child.wait_for("● listening")
        assert termios.tcgetattr(child.terminal) != before
        child.type("m")
        child.wait_for("not listening")
        child.type("m")
        child.wait_for("● listening")
        play(booth, SPOKEN)
        child.wait_for("hearing you")
        child.wait_for("set_speed(")
        child.wait_for("run?")
        child.wait_for(f"{shutil.which('touch')} {tmp_path / 'done'}")
        child.wait_for("may this run?")
        assert not (tmp_path / "done").exists()
        time.sleep(2 * READ_S)  # a yes that comes sooner was meant for the question before
        child.type("y")
        child.wait_for('→ {"ok": true')
        child.wait_for("● listening")
        assert (tmp_path / "done").exists()
        child.signal(signal.SIGINT)
        assert child.finish() == 130
        assert termios.tcgetattr(child.terminal) == before
        assert child.seen.rfind("\x1b[?25h") > child.seen.rfind("\x1b[?25l"), "the cursor is back"


def test_a_terminal_is_given_back_even_if_the_signal_comes_twice(booth: SoundServer) -> None:
    with on_terminal() as child:
        before = termios.tcgetattr(child.terminal)
        child.wait_for("Ctrl-C leave")
        child.signal(signal.SIGTERM)
        child.signal(signal.SIGTERM)
        assert child.finish() == 143
        assert termios.tcgetattr(child.terminal) == before
        assert child.seen.rfind("\x1b[?25h") > child.seen.rfind("\x1b[?25l")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--push-to-talk",), 2, "keyboard"),
        (("--tools", "/nonexistent.json"), 4, "/nonexistent.json"),
        (("--speak", "no-such-voice"), 5, "no-such-voice"),
        (("-b", "/nonexistent"), 3, "/nonexistent"),
        (("--temperature", "-1"), 2, "temperature"),
    ],
)
def test_a_wish_that_cannot_be_granted_is_refused(arguments: tuple[str, ...], code: int, words: str) -> None:
    result = edge("listen", "--json", *arguments, PULSE_SERVER="unix:/nonexistent")
    kept = "".join(line for line in result.out.splitlines() if '"event": "microphone"' not in line)
    assert_refused(replace(result, out=kept), code, words)
