"""One utterance from the microphone, one picture from the camera: for a single question."""

import queue
from collections.abc import Callable
from typing import TYPE_CHECKING

from edge.devices.health import Health
from edge.errors import DeviceError, InputError
from edge.live.utterances import Dismissed, SpeechEnded, SpeechStarted, Utterance

if TYPE_CHECKING:
    import numpy as np

PATIENCE_S = 20.0
"""So long may a device take to open, and somebody to begin to speak."""


class Recorder:
    """`record` waits in its thread; `cancel` ends that from any other."""

    def __init__(self, told: Callable[[str], None]) -> None:
        """`told` gets a word for the person: that it listens, that it hears something."""
        self._told = told
        self._news: queue.SimpleQueue[np.ndarray | Health | None] = queue.SimpleQueue()

    def cancel(self) -> None:
        self._news.put(None)

    def record(self, name: str | None) -> Utterance | None:
        """What is said next, from the first word to the silence after the last; None when cancelled.

        Raises DeviceError for a microphone that is missing or goes away, InputError when nobody speaks.
        """
        from edge.devices.microphone import RATE, Microphone
        from edge.live.ear import Ear

        ear, waited = Ear(), 0.0
        with Microphone(name, self._news.put, self._news.put):
            while True:
                try:
                    news = self._news.get(timeout=PATIENCE_S)
                except queue.Empty:
                    raise DeviceError("the microphone does not open", "edge doctor") from None
                if news is None:
                    return None
                if isinstance(news, Health):
                    self._tell(news)
                    continue
                waited += len(news) / RATE
                for event in ear.hear(news):
                    if isinstance(event, SpeechStarted):
                        self._told("hearing you")
                    elif isinstance(event, SpeechEnded):
                        return event.utterance
                    elif isinstance(event, Dismissed):
                        self._told("listening: that was no voice")
                if waited > PATIENCE_S and not ear.speaking:
                    raise InputError(
                        f"nobody spoke for {PATIENCE_S:.0f} s", "is it the right microphone?  edge devices --meter"
                    )

    def _tell(self, health: Health) -> None:
        if health.state == "live":
            self._told(f"listening ({health.device})")
        elif health.state == "absent":
            raise DeviceError(health.reason, health.hint or "edge devices")


def look(source: str) -> "np.ndarray":
    """uint8 [height, width, 3]: the first good picture. Raises DeviceError."""
    from edge.devices.camera import Camera
    from edge.devices.camera_source import find_source

    find_source(source)
    states: queue.SimpleQueue[str] = queue.SimpleQueue()
    with Camera(source, lambda health: states.put(health.state)) as camera:
        try:
            while states.get(timeout=PATIENCE_S) == "opening":
                """Until it is live, or has failed, which `latest` tells."""
        except queue.Empty:
            raise DeviceError(f"the camera {source} does not open", "edge doctor") from None
        return camera.latest().rgb
