"""edge devices tells what is there, how loud it is, and what to do when there is nothing."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.devices.sound_server import SoundServer
from tests.cli.child import edge, running
from tests.devices.sound_server import sound_server_for_tests

WITHOUT_SOUND = {"PULSE_SERVER": "unix:/nonexistent"}


@pytest.fixture
def sound_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoundServer]:
    with sound_server_for_tests(tmp_path, monkeypatch) as server:
        yield server


def test_microphones_are_listed_with_the_default_and_what_they_are(sound_server: SoundServer) -> None:
    sound_server.add("desk", rate=32000, channels=2)
    sound_server.add_loudspeaker("speaker")
    sound_server.choose("desk")
    listed = edge("devices", **sound_server.environment)
    assert (listed.code, listed.err) == (0, "")
    desk, monitor = (line for line in listed.out.splitlines() if "DESK" in line or "Monitor" in line)
    assert all(word in desk for word in ("default", "DESK-for-people", "sound server", "32000", "2"))
    assert "default" not in monitor and " monitor " in monitor
    found = edge("devices", "--json", **sound_server.environment).json()
    assert (found["schema"], found["cameras"]) == (1, [])
    assert [(one["name"], one["rate"], one["default"], one["monitor"]) for one in found["microphones"]] == [
        ("desk", 32000, True, False),
        ("speaker.monitor", 44100, False, True),
    ]


def test_microphones_of_the_same_description_are_told_apart_by_name(sound_server: SoundServer) -> None:
    sound_server.add_loudspeaker("left")
    sound_server.add_loudspeaker("right")
    listed = edge("devices", **sound_server.environment).out
    assert "left.monitor" in listed and "right.monitor" in listed


def test_without_a_microphone_it_says_so_and_lists_the_rest() -> None:
    listed = edge("devices", **WITHOUT_SOUND)
    assert listed.code == 5
    assert listed.err == "error: there is no microphone\n  next: plug one in and try again\n"
    found = edge("devices", "--json", **WITHOUT_SOUND)
    assert (found.code, found.json()["microphones"]) == (5, [])


def test_without_a_camera_it_says_what_can_stand_in_for_one() -> None:
    assert "edge listen --camera" in edge("devices", **WITHOUT_SOUND).out


def test_processors_are_listed_without_opening_a_microphone() -> None:
    listed = edge("devices", "--compute", **WITHOUT_SOUND)
    assert (listed.code, listed.err) == (0, "")
    assert all(name in listed.out for name in ("cpu", "qnn", "openvino", "webgpu"))
    first = edge("devices", "--compute", "--json", **WITHOUT_SOUND).json()["compute"][0]
    assert (first["name"], first["device"]) == ("cpu", "CPU")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(("--meter", "--compute"), "--compute"), (("--meter", "--json"), "--json"), (("--microphone", "desk"), "--meter")],
)
def test_options_that_do_not_fit_together_are_refused(arguments: tuple[str, ...], word: str) -> None:
    refused = edge("devices", *arguments)
    assert (refused.code, refused.out) == (2, "")
    assert word in refused.err


@pytest.mark.parametrize(
    ("arguments", "reason"), [((), "there is no microphone"), (("-m", "nothing"), "no microphone named 'nothing'")]
)
def test_the_meter_needs_a_microphone(arguments: tuple[str, ...], reason: str) -> None:
    refused = edge("devices", "--meter", *arguments, **WITHOUT_SOUND)
    assert refused.code == 5
    assert reason in refused.err
    assert "edge devices" in refused.err.splitlines()[-1]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_the_meter_shows_level_and_advice_until_a_signal(
    sound_server: SoundServer, number: signal.Signals, code: int
) -> None:
    sound_server.add("desk")
    with running("devices", "--meter", "--microphone", "desk") as child:
        child.wait_for("no signal: only zeros: muted or unplugged?")
        child.wait_for("(DESK-for-people)")
        child.signal(number)
        assert child.finish() == code
    assert "Traceback" not in child.seen


def test_without_a_terminal_the_meter_writes_lines(sound_server: SoundServer) -> None:
    sound_server.add("desk")
    with running("devices", "--meter", on_terminal=("stdout",), stderr=-1) as child:
        assert child.process.stderr is not None
        line = child.process.stderr.readline().decode()
        child.signal(signal.SIGINT)
        assert child.finish() == 0
        child.process.stderr.close()
    assert line.startswith("peak -120.0") and line.endswith("(DESK-for-people)\n")


def test_the_meter_tells_when_the_microphone_goes_and_comes_back(sound_server: SoundServer) -> None:
    sound_server.add("desk")
    with running("devices", "--meter", "-m", "desk") as child:
        child.wait_for("(DESK-for-people)")
        sound_server.remove("desk")
        child.wait_for("absent: there is no microphone named 'desk'")
        sound_server.add("desk")
        child.wait_for("(DESK-for-people)")
        child.signal(signal.SIGINT)
        assert child.finish() == 0
