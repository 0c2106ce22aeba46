"""A camera that may be unplugged, hang or stand still; its latest picture without waiting for it."""

import contextlib
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from edge.devices.camera_process import ADDRESS, FRESH_S, HEAD
from edge.devices.camera_source import CameraSource, Kind, find_source
from edge.devices.frame import Frame
from edge.devices.frames import FROZEN, FROZEN_S, Fault, Stillness, fault_of, thin_out
from edge.devices.health import Health
from edge.devices.supervisor import Plan, Supervisor
from edge.errors import DeviceError

SILENT_S, OPENING_S = 1.5, 10.0
AGAIN = "try again in a few seconds"

_PROCESS = "edge.devices.camera_process"
# FFmpeg would look for up to 8 s at a pipe, or keep pictures back, until it knows all about the stream
_FFMPEG: dict[Kind, str] = {
    "pipe": "input_format;mjpeg|probesize;32768|analyzeduration;0|fflags;nobuffer",
    "url": "rtsp_transport;tcp|analyzeduration;1500000|fflags;nobuffer",
}
_REMEDIES: dict[Kind, str] = {
    "device": "unplug it and plug it in again",
    "url": "is it switched on and connected?",
    "pipe": "does the program that writes into it still run?",
}


class Camera:
    """`latest()` is what it sees now; `changed(health)` is called from its own thread and must be quick.

    `source` is what `find_source` takes; whatever is missing is looked for again until `close`, so a wrong source shows
    in `health` and `latest()`. Ask `find_source` first to refuse it at once.
    """

    def __init__(self, source: str, changed: Callable[[Health], None]) -> None:
        self._source, self._changed = source, changed
        self._cause = Health("opening")
        self._slot: tuple[Frame, Fault | None] | None = None
        self._number = 0
        self._still, self._fresh_s, self._stillness = False, FRESH_S, Stillness()
        self._pipe: int | None = None
        self._supervisor = Supervisor(self._plan, self._opened, self._received, self._tell, SILENT_S, OPENING_S)
        self._supervisor.start()

    @property
    def health(self) -> Health:
        return self._supervisor.health

    @property
    def pid(self) -> int | None:
        """Of the process that holds the camera, while there is one."""
        return self._supervisor.pid

    def latest(self) -> Frame:
        """Never waits. Raises DeviceError when there is no picture, or it is old, black, of one colour or frozen."""
        slot, cause = self._slot, self._cause
        if slot is None:
            raise DeviceError(cause.reason or "the camera is being opened", cause.hint or AGAIN)
        frame, fault = slot
        if (age_s := frame.age_s) > self._fresh_s:
            why = cause.reason or ("nothing new is written" if self._fresh_s > FRESH_S else "the camera hangs")
            raise DeviceError(f"the last picture is {_duration(age_s)} old: {why}", cause.hint or AGAIN)
        if fault:
            raise DeviceError(f"{cause.device} {fault.reason}", fault.hint)
        return frame

    def frame_or_none(self) -> Frame | None:
        """`latest()`, or None when there is none to be trusted."""
        with contextlib.suppress(DeviceError):
            return self.latest()
        return None

    def close(self) -> None:
        """The camera is free when this returns; again does no harm."""
        self._supervisor.close()
        self._slot = None
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            os.close(pipe)

    def __enter__(self) -> "Camera":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _tell(self, health: Health) -> None:
        if health.reason or health.state == "live":  # while it is opened again, the reason is still the last one
            self._cause = health
        self._changed(health)

    def _plan(self) -> Plan:
        source = find_source(self._source)
        self._keep_writers(source)
        environment = {ADDRESS: source.address, "OPENBLAS_NUM_THREADS": "1"}
        if source.kind in _FFMPEG:
            environment["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = _FFMPEG[source.kind]
        remedy = _REMEDIES.get(source.kind, "is its disk or network still there?")
        return Plan(_PROCESS, [source.kind, source.name], source.name, environment, remedy)

    def _keep_writers(self, source: CameraSource) -> None:
        """A program that writes into a pipe would be ended by the system while our process is started again."""
        pipe = None
        if source.kind == "pipe":
            try:
                pipe = os.open(source.address, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError as error:
                raise DeviceError(f"{source.name} cannot be read: {error.strerror}", "check its permissions") from None
        if self._pipe is not None:
            os.close(self._pipe)
        self._pipe = pipe

    def _opened(self, fields: dict[str, Any]) -> None:
        self._still, self._fresh_s, self._stillness = fields["still"], fields["fresh_s"], Stillness()

    def _received(self, payload: bytes) -> None:
        height, width, taken_s = HEAD.unpack_from(payload)
        rgb = np.frombuffer(payload, np.uint8, offset=HEAD.size).reshape(height, width, 3)
        thin = thin_out(rgb)
        unchanged_s = self._stillness.add(thin, min(taken_s, time.monotonic()))
        fault = fault_of(thin) or (FROZEN if unchanged_s > FROZEN_S and not self._still else None)
        self._number += 1
        self._slot = Frame(rgb, taken_s, self._number), fault


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.1f} s"
