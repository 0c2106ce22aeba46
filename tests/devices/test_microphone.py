"""A real microphone process on a real sound server: it is heard, and what happens to it is noticed and repaired."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.devices.sound_server import PATIENCE_S, SoundServer
from edge.devices.microphone import Microphone, MonoStream
from tests.devices.conftest import Listener
from tests.devices.sound_server import pitch, write_tone

Listen = Callable[..., Listener]


def threads_and_descriptors() -> tuple[int, int]:
    return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Set up first and so torn down last: after all microphones are closed."""
    before = threads_and_descriptors()
    yield
    assert threads_and_descriptors() == before


@pytest.mark.parametrize(("rate", "channels"), [(44100, 2), (48000, 1), (16000, 1)])
def test_a_tone_arrives_at_16_khz_whatever_the_microphone_has(
    sound_server: SoundServer, listen: Listen, tmp_path: Path, rate: int, channels: int
) -> None:
    sound_server.add_loudspeaker("speaker", rate, channels)
    listener = listen()
    listener.until("live")
    playing = sound_server.play(write_tone(tmp_path / "tone.wav", 440, 3), "speaker")
    samples = listener.sound(16000, loud=True)
    playing.terminate()
    playing.wait()
    assert pitch(samples) == pytest.approx(440, abs=2)
    # one of two channels has the tone at half of full scale
    assert np.abs(samples).max() == pytest.approx(0.25, abs=0.02)
    assert listener.microphone.level.verdict == "good"
    assert listener.microphone.source == "speaker.monitor"
    assert listener.microphone.dropped == 0


def test_channels_are_averaged_and_any_rate_becomes_16_khz() -> None:
    time = np.arange(48000) / 48000
    frames = np.stack([16384 * np.sin(2 * np.pi * 1000 * time), np.zeros(48000)], 1).astype(np.int16)
    stream = MonoStream(48000, 2)
    samples = np.concatenate([stream.convert(frames[at : at + 1536]) for at in range(0, 48000, 1536)])
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(16000, abs=600), "the filter keeps the rest"
    assert pitch(samples) == pytest.approx(1000, abs=2)
    assert np.abs(samples[2000:-2000]).max() == pytest.approx(0.25, abs=0.005)


def test_a_muted_microphone_is_live_and_said_to_be_silent(sound_server: SoundServer, listen: Listen) -> None:
    sound_server.add("desk")
    listener = listen("desk")
    assert listener.until("live").device == "DESK-for-people"
    listener.sound(24000)
    assert listener.microphone.level.advice == "only zeros: muted or unplugged?"
    assert listener.microphone.health.state == "live"


def test_a_named_microphone_that_is_unplugged_is_not_replaced_by_another(
    sound_server: SoundServer, listen: Listen
) -> None:
    sound_server.add("desk")
    sound_server.add("other")
    sound_server.choose("other")
    listener = listen("desk")
    listener.until("live")
    sound_server.remove("desk")
    listener.until("absent", "no microphone named 'desk'")
    sound_server.add("desk", rate=16000)  # elsewhere, and with another rate
    listener.until("live", "DESK")
    listener.sound(1600)
    assert listener.microphone.source == "desk"


def test_a_named_microphone_whose_stream_is_moved_comes_back(sound_server: SoundServer, listen: Listen) -> None:
    sound_server.add("desk")
    sound_server.add("other")
    listener = listen("desk")
    listener.until("live")
    sound_server.move_recordings("other")
    listener.until("absent", "moved from desk to other")
    listener.until("live", "DESK")
    assert listener.microphone.source == "desk"


def test_without_a_name_another_default_is_followed_and_told(sound_server: SoundServer, listen: Listen) -> None:
    sound_server.add("desk")
    sound_server.add("other")
    sound_server.choose("desk")
    listener = listen()
    listener.until("live", "DESK")
    sound_server.choose("other")
    listener.until("absent", "moved from desk to other")
    listener.until("live", "OTHER")
    assert listener.microphone.source == "other"
    sound_server.remove("other")
    listener.until("absent")
    listener.until("live", "DESK")
    listener.sound(1600)


def test_a_server_that_remembers_another_source_for_us_than_its_default_is_obeyed(
    sound_server: SoundServer, listen: Listen
) -> None:
    sound_server.remember_sources()
    sound_server.add("desk")
    sound_server.add("other")
    sound_server.choose("desk")
    listener = listen()
    listener.until("live")
    sound_server.move_recordings("other")
    listener.until("absent", "moved from desk to other")
    listener.until("live")
    while listener.microphone.source != "other":
        listener.sound(1600)
    listener.sound(32000)
    assert listener.healths.empty(), "it is not opened again and again"


def test_portaudios_own_name_of_the_sound_server_accepts_what_it_leads_to(
    sound_server: SoundServer, listen: Listen
) -> None:
    sound_server.add("desk")
    sound_server.add("other")
    sound_server.choose("desk")
    listener = listen("pulse")
    listener.until("live", "pulse")
    sound_server.move_recordings("other")
    listener.sound(16000)
    assert listener.microphone.health.state == "live"
    assert listener.healths.empty()


def test_the_only_microphone_may_go_and_come(sound_server: SoundServer, listen: Listen) -> None:
    listener = listen()
    assert listener.until("absent", "no microphone").hint == "plug one in, then see: edge devices"
    sound_server.add("desk")
    listener.until("live", "DESK")
    sound_server.remove("desk")
    listener.until("absent", "no microphone")
    sound_server.add("desk")
    listener.until("live", "DESK")


def test_a_sound_server_that_is_killed_and_started_again_is_found_again(
    sound_server: SoundServer, listen: Listen
) -> None:
    sound_server.add("desk")
    listener = listen("desk")
    listener.until("live")
    sound_server.stop()
    listener.until("absent")
    sound_server.start()
    sound_server.add("desk")
    sound_server.add("other")
    listener.until("live", "DESK")
    listener.sound(1600)
    # the watch has found the new server, too
    listener.until_watched(sound_server)


def test_a_recording_process_that_dies_is_replaced(sound_server: SoundServer, listen: Listen) -> None:
    sound_server.add("desk")
    listener = listen("desk")
    listener.until("live")
    assert listener.microphone.pid
    os.kill(listener.microphone.pid, signal.SIGKILL)
    listener.until("absent", "ended by itself")
    listener.until("live")


def test_a_missing_library_is_the_reason_that_is_told(broken_portaudio: Callable[[str], None], listen: Listen) -> None:
    broken_portaudio("raise OSError('PortAudio library not found')")
    health = listen().until("absent")
    assert health.reason == "the PortAudio library is missing"
    assert health.hint == "sudo apt install libportaudio2"


BUSY = """
class PortAudioError(Exception): pass
class default: device = 0, 0
def query_devices():
    return [dict(name="Desk", index=0, max_input_channels=1, default_samplerate=16000.0, hostapi=0)]
def RawInputStream(**options):
    raise PortAudioError("Error opening RawInputStream: Device unavailable", -9985)
"""


def test_a_microphone_that_another_program_holds_is_said_to_be_busy(
    broken_portaudio: Callable[[str], None], listen: Listen
) -> None:
    broken_portaudio(BUSY)
    assert listen().until("absent").reason == "Desk is in use by another program"


def test_nothing_survives_a_parent_that_is_killed(sound_server: SoundServer) -> None:
    sound_server.add("desk")
    code = (
        "import time; from edge.devices.microphone import Microphone\n"
        "m = Microphone(None, lambda s: None, lambda h: print(h.state, flush=True))\n"
        "time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        assert any(line.startswith("live") for line in parent.stdout)
        assert sound_server.clients() > 1, "somebody records and somebody watches"
        parent.kill()
    waited = threading.Event()
    for _ in range(int(PATIENCE_S / 0.05)):
        if sound_server.clients() == 1:  # who asks
            return
        waited.wait(0.05)
    raise AssertionError("the microphone is still held")


def test_closing_twice_and_at_once_does_no_harm(sound_server: SoundServer) -> None:
    for _ in range(3):
        with Microphone(None, lambda samples: None, lambda health: None) as microphone:
            microphone.close()
