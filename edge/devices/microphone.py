"""A microphone that may be unplugged, moved and plugged in again; its samples as the speech encoder wants them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import soxr

from edge.devices import sound_server
from edge.devices.health import Health
from edge.devices.level import Level
from edge.devices.microphone_process import HEAD
from edge.devices.sound_server_watch import SoundServerWatch
from edge.devices.sources import PROCESS, resolve
from edge.devices.supervisor import Plan, Supervisor

RATE = 16_000
"""Hz of what is heard."""

_WRAP = 1 << 32


class Microphone:
    """Calls `heard(samples)` with float32 [n] at 16 kHz, full scale ±1, and `changed(health)`, both from its own
    thread; both must be quick. Whenever health leaves "live", samples were lost: what was half said is void.

    `name` is a part of a microphone's name or description; None means the default, whichever it is at the moment.
    It records from construction until `close`, and comes back by name, on whatever port.
    """

    def __init__(
        self, name: str | None, heard: Callable[[np.ndarray], None], changed: Callable[[Health], None]
    ) -> None:
        self._name, self._heard = name or None, heard
        self.level = Level()
        self.source = ""
        """Name of what is recorded from; the sound server may move it."""
        self.dropped = 0
        """Frames lost since construction because they were not taken in time."""
        self.overflows = 0
        """How often the device itself lost some since then."""
        self._counted = (0, 0)
        self._expected = ""
        """The sound server's name of what should be recorded from; empty without a sound server."""
        # a server that remembers another source for us than its default moves us at each start: one restart is enough
        self._remembered = 0, "", ""
        self._stream: MonoStream | None = None
        self._supervisor = Supervisor(self._plan, self._opened, self._received, changed)
        self._watch = SoundServerWatch(self._check)
        self._watch.start()
        self._supervisor.start()

    @property
    def health(self) -> Health:
        return self._supervisor.health

    @property
    def pid(self) -> int | None:
        """Of the process that records, while there is one."""
        return self._supervisor.pid

    def close(self) -> None:
        """The device is free when this returns; again does no harm."""
        self._watch.close()
        self._supervisor.close()
        self._stream = None

    def __enter__(self) -> "Microphone":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _plan(self) -> Plan:
        source = resolve(self._name)
        self._stream = None
        self.source, self._expected = source.name if source else "", ""
        if source is None:
            return Plan(PROCESS, [], "the default microphone", {})
        if source.kind == "direct":
            return Plan(PROCESS, ["--device", source.name], source.name, {})
        self._expected = source.name
        arguments = ["--server", "--label", source.description, "--rate", str(source.rate)]
        if self._name is None:  # the server chooses
            return Plan(PROCESS, arguments, source.description, {})
        chosen = {"PULSE_SOURCE": source.name} | ({} if source.monitor else {"PIPEWIRE_NODE": source.name})
        return Plan(PROCESS, arguments, source.description, chosen)

    def _opened(self, fields: dict[str, Any]) -> None:
        self.source = self.source or fields["device"]
        self.level, self._counted = Level(), (0, 0)
        self._stream = MonoStream(fields["rate"], fields["channels"])

    def _received(self, payload: bytes) -> None:
        assert self._stream
        counted = HEAD.unpack_from(payload)
        self.dropped += (counted[0] - self._counted[0]) % _WRAP
        self.overflows += (counted[1] - self._counted[1]) % _WRAP
        self._counted = counted
        frames = np.frombuffer(payload, np.int16, offset=HEAD.size).reshape(-1, self._stream.channels)
        self.level.add(frames, self._stream.rate)
        self._heard(self._stream.convert(frames))

    def _check(self) -> None:
        """Does the sound server still record from where it should? PortAudio is not told when it does not."""
        pid = self._supervisor.pid
        if pid is None or (actual := sound_server.recorded_by(pid)) is None or pid != self._supervisor.pid:
            return
        expected = self._expected
        if not expected:  # the user chose PortAudio's door to the sound server: wherever it leads
            return
        if actual == expected:
            return
        if self._name is None and self._remembered == (self._supervisor.starts, expected, actual):
            self._expected = self.source = actual
            return
        self._remembered = self._supervisor.starts + 1, expected, actual
        self._supervisor.restart(f"the sound server moved from {expected} to {actual}")


class MonoStream:
    """Blocks of one recording to 16 kHz. `convert` keeps the filter's memory, so a reopened device needs a new one."""

    def __init__(self, rate: int, channels: int) -> None:
        self.rate, self.channels = rate, channels
        self._resampler = soxr.ResampleStream(rate, RATE, 1) if rate != RATE else None

    def convert(self, frames: np.ndarray) -> np.ndarray:
        """int16 [n, channels] to float32 [m], channels averaged, full scale ±1."""
        mono = frames.mean(axis=1, dtype=np.float32) / np.float32(32768)
        return self._resampler.resample_chunk(mono) if self._resampler else mono
