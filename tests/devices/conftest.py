"""A sound server, and a microphone that is listened to."""

import contextlib
import queue
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.devices.sound_server import PATIENCE_S, SoundServer
from edge.devices.health import Health
from edge.devices.microphone import Microphone
from tests.devices.sound_server import sound_server_for_tests


class Listener:
    """A microphone and all it tells. `sound` holds what was heard since it was asked last."""

    def __init__(self, name: str | None) -> None:
        self.healths: queue.Queue[Health] = queue.Queue()
        self.blocks: queue.Queue[np.ndarray] = queue.Queue()
        self.microphone = Microphone(name, self.blocks.put, self.healths.put)

    def until(self, state: str, *words: str) -> Health:
        """The next health of that state whose reason and device hold all `words`."""
        while True:
            health = self.healths.get(timeout=PATIENCE_S)
            if health.state == state and all(word in f"{health.reason} {health.device}" for word in words):
                return health

    def until_watched(self, server: SoundServer) -> None:
        """Moves the recording to "other" until that is noticed: the watch may come back later than the sound."""
        while True:
            server.move_recordings("other")
            with contextlib.suppress(queue.Empty):
                while "moved" not in self.healths.get(timeout=0.5).reason:
                    pass
                return

    def sound(self, count: int, loud: bool = False) -> np.ndarray:
        """The next `count` samples; with `loud` the first ones that are not silence."""
        found = np.zeros(0, np.float32)
        while len(found) < count:
            block = self.blocks.get(timeout=PATIENCE_S)
            if not loud or len(found) or np.abs(block).max() > 0.1:
                found = np.concatenate([found, block])
        return found[:count]


@pytest.fixture
def sound_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoundServer]:
    with sound_server_for_tests(tmp_path, monkeypatch) as server:
        yield server


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    made: list[Listener] = []

    def start(name: str | None = None) -> Listener:
        made.append(Listener(name))
        return made[-1]

    yield start
    for one in made:
        one.microphone.close()


@pytest.fixture
def broken_portaudio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Replaces the package sounddevice, for processes that are started from now on, by this code."""

    def replace(code: str) -> None:
        (tmp_path / "sounddevice.py").write_text(code)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.setenv("PULSE_SERVER", "unix:/nonexistent")

    return replace
