"""Does the microphone hear, does the camera see? They are opened for a moment to know."""

import threading
from functools import partial
from typing import TYPE_CHECKING

from edge.doctor import Check
from edge.errors import DeviceError

if TYPE_CHECKING:
    from edge.devices.health import Health

OPENING_S = 10.0
LISTENS_S = 0.7


def check_microphone(name: str | None = None, needed: bool = False) -> Check:
    """Its level while nothing, or something, is said; a verdict such as "too quiet" is told, not judged."""
    import numpy as np

    from edge.devices.microphone import RATE, Microphone

    told = partial(Check, "microphone", needed=needed)
    settled, heard = _Settled(), threading.Event()
    samples = 0

    def hear(block: np.ndarray) -> None:
        nonlocal samples
        samples += len(block)
        if samples > LISTENS_S * RATE:
            heard.set()

    with Microphone(name, hear, settled.changed) as microphone:
        health = settled.wait()
        if health is None or health.state != "live" or not heard.wait(OPENING_S):
            reason, hint = (health.reason, health.hint) if health else ("it does not open", "")
            return told(False, reason or "it sends nothing", hint or "edge devices")
        level = microphone.level
        return told(True, f"{health.device}, peak {level.held:.0f} dBFS, {level.verdict}")


def check_camera(source: str | None = None) -> Check:
    """The picture of `source`, or of the first camera; one that was asked for is needed."""
    from edge.devices.camera import Camera
    from edge.devices.camera_source import cameras, find_source

    told = partial(Check, "camera", needed=source is not None)
    source = source or next(map(str, cameras()), None)
    if source is None:
        return told(False, "none is connected", "plug one in, or give a file or URL:  edge doctor --camera FILE")
    settled = _Settled()
    try:
        find_source(source)
        with Camera(source, settled.changed) as camera:
            settled.wait()
            rgb = camera.latest().rgb
    except DeviceError as error:
        return told(False, str(error), error.hint)
    return told(True, f"{camera.health.device or source}, {rgb.shape[1]} × {rgb.shape[0]} pixels")


class _Settled:
    """Waits for a device to be live or to fail."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._health: Health | None = None

    def changed(self, health: "Health") -> None:
        with self._news:
            if self._health is None and health.state != "opening":
                self._health = health
                self._news.notify_all()

    def wait(self) -> "Health | None":
        """None when it takes too long."""
        with self._news:
            self._news.wait_for(lambda: self._health is not None, OPENING_S)
            return self._health
