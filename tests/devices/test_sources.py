"""Microphones are meant by name, and a name that means none or several is refused with what to do."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.devices.sound_server import SoundServer
from edge.devices import sound_hardware, sources
from edge.devices import sound_server as server
from edge.devices.sound_hardware import trouble
from edge.devices.source import Source
from edge.errors import DeviceError


def served(name: str, description: str, monitor: bool = False, default: bool = False) -> Source:
    return Source(name, description, "sound server", 48000, 1, monitor, default)


def direct(name: str, default: bool = False) -> Source:
    return Source(name, name, "direct", 44100, 2, False, default)


DESK = served("alsa_input.usb-desk", "Desk Microphone", default=True)
CAMERA = served("alsa_input.usb-camera", "Camera Microphone")
SPEAKERS = served("alsa_output.usb-desk.monitor", "Monitor of Desk Speakers", monitor=True)
RAW_DESK = direct("Desk: USB Audio (hw:1,0)")
PULSE = direct("pulse", default=True)


@pytest.fixture
def present(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def choose(of_server: list[Source] | None, without: list[Source]) -> None:
        monkeypatch.setattr(server, "sources", lambda: of_server)
        monkeypatch.setattr(sources, "direct_sources", lambda everything=True: without)

    return choose


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        (None, DESK),
        ("", DESK),
        ("ALSA_INPUT.usb-desk", DESK),
        ("desk microphone", DESK),
        ("camera", CAMERA),
        ("desk", DESK),
        ("desk speakers", SPEAKERS),
        ("hw:1,0", RAW_DESK),
        ("Pulse", PULSE),
    ],
)
def test_a_name_means_the_whole_before_a_part_and_microphones_before_monitors(
    present: Callable[..., None], name: str | None, meant: Source
) -> None:
    present([SPEAKERS, CAMERA, DESK], [RAW_DESK, PULSE])
    assert sources.resolve(name) == meant


def test_an_ambiguous_name_lists_its_candidates(present: Callable[..., None]) -> None:
    present([SPEAKERS, CAMERA, DESK], [])
    with pytest.raises(DeviceError, match=r"'micro' means 2 .*usb-camera' and .*usb-desk'") as refused:
        sources.resolve("micro")
    assert refused.value.hint == "give more of the name"


def test_an_unknown_name_says_how_to_find_the_known_ones(present: Callable[..., None]) -> None:
    present([DESK], [PULSE])
    with pytest.raises(DeviceError, match="no microphone named 'kitchen'") as refused:
        sources.resolve("kitchen")
    assert "edge devices" in refused.value.hint


def test_a_sound_server_without_sources_is_told_apart_from_no_sound_server(present: Callable[..., None]) -> None:
    present([], [PULSE])
    with pytest.raises(DeviceError, match="sound server has no microphone"):
        sources.resolve(None)
    present(None, [PULSE])
    assert sources.resolve(None) is None


def test_only_one_microphone_is_marked_as_default(present: Callable[..., None]) -> None:
    present([DESK], [direct("Desk: USB Audio (hw:1,0)", default=True)])
    assert [one.default for one in sources.microphones()] == [True, False]


def test_microphones_of_a_real_sound_server_are_found_with_rate_and_channels(sound_server: SoundServer) -> None:
    sound_server.add("desk", rate=32000, channels=2)
    sound_server.add_loudspeaker("speaker")
    sound_server.choose("desk")
    desk, monitor = sources.microphones()
    assert (desk.name, desk.rate, desk.channels, desk.default, desk.monitor) == ("desk", 32000, 2, True, False)
    assert (monitor.name, monitor.default, monitor.monitor) == ("speaker.monitor", False, True)
    assert sources.resolve("DESK") == desk
    assert sources.resolve("pulse") is not None, "PortAudio's own names are names, too"


def test_without_anything_there_are_no_microphones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSE_SERVER", "unix:/nonexistent")
    monkeypatch.setattr(sources, "direct_sources", lambda everything=True: [])
    assert sources.microphones() == []


@pytest.mark.parametrize(
    ("code", "reason", "hint"),
    [
        ("raise ImportError", "package sounddevice is missing", "pip install"),
        ("raise OSError('PortAudio library not found')", "PortAudio library is missing", "apt install libportaudio2"),
        ("raise RuntimeError('no luck')", "PortAudio does not start: no luck", "edge devices"),
        ("import os; os.abort()", "crashed", "try again"),
    ],
)
def test_a_portaudio_that_cannot_be_used_says_what_is_wrong(
    broken_portaudio: Callable[[str], None], code: str, reason: str, hint: str
) -> None:
    broken_portaudio(code)
    with pytest.raises(DeviceError, match=reason) as refused:
        sources.microphones()
    assert hint in refused.value.hint


def test_a_portaudio_that_hangs_is_given_up(
    broken_portaudio: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_portaudio("import time; time.sleep(3600)")
    monkeypatch.setattr(sources, "LISTING_S", 0.5)
    with pytest.raises(DeviceError, match="has not listed its devices"):
        sources.microphones()


def test_a_recorder_that_somebody_holds_names_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    devices, status = tmp_path / "snd", tmp_path / "asound/card0/pcm0c/sub0/status"
    devices.mkdir()
    status.parent.mkdir(parents=True)
    (devices / "pcmC0D0c").touch()
    status.write_text("closed\n")
    assert trouble(devices, tmp_path / "asound") is None
    status.write_text("state: RUNNING\nowner_pid   : 1\n")
    told = trouble(devices, tmp_path / "asound")
    assert told is not None
    assert "process 1 (" in told[0] and told[1] == "end it:  kill 1"
    monkeypatch.setattr(sound_hardware, "_name_of", lambda pid: "pipewire")
    told = trouble(devices, tmp_path / "asound")
    assert told is not None and told[1] == "sudo apt install libasound2-plugins", "nobody should kill that"


def test_recorders_that_are_forbidden_name_the_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pcmC0D0c").touch()
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may use everything
    told = trouble(tmp_path, tmp_path)
    assert told is not None and "usermod -aG audio" in told[1]
    assert trouble(tmp_path / "missing", tmp_path) is None
