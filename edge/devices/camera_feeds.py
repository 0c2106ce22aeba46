"""Pictures as each kind of source delivers them."""

import time
from collections.abc import Callable, Iterator

import cv2

from edge.devices.camera_capture import open_capture
from edge.devices.camera_pictures import PERIOD_S, Shot, pictures
from edge.devices.camera_source import CameraSource, Kind
from edge.errors import DeviceError

_USUAL_RATE, _HIGHEST_RATE = 25.0, 240.0


def live(source: CameraSource) -> Iterator[Shot]:
    """A camera's pictures; what comes in between is taken from it and dropped, so that nothing old piles up.

    All have the size of the first one: OpenCV scales what follows when a stream changes its size.
    """
    capture, due = open_capture(source), 0.0
    while capture.grab():
        grabbed_s = time.monotonic()
        if grabbed_s < due:
            continue
        got, picture = capture.retrieve()
        if got and picture is not None and picture.size:
            yield cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), grabbed_s
            due = time.monotonic() + PERIOD_S
    if source.kind == "pipe":
        raise DeviceError(f"nobody writes into {source.name} any more", "start the program that does")
    raise DeviceError(f"{source.name} sends no more pictures", "is it switched on and connected?")


def recording(source: CameraSource) -> Iterator[Shot]:
    """A video file as if it were a camera: at its own rate, again from the start at the end."""
    while True:
        capture = open_capture(source)
        rate = capture.get(cv2.CAP_PROP_FPS)
        rate = rate if 0 < rate <= _HIGHEST_RATE else _USUAL_RATE
        began, taken, picture, more = time.monotonic(), 0, None, True
        while more:
            due = int((time.monotonic() - began) * rate) + 1
            if due > taken + max(1, rate / 3):  # this machine cannot keep up: slower is better than no picture
                began, due = time.monotonic() - taken / rate, taken + 1
            before = taken
            while taken < due and (more := capture.grab()):
                taken += 1
            if taken > before:
                got, decoded = capture.retrieve()
                picture = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB) if got else picture
            if picture is not None:
                yield picture, time.monotonic()
            time.sleep(PERIOD_S)
        if picture is None:
            raise DeviceError(f"{source.name} holds no pictures", "give a picture or another video file")


FEEDS: dict[Kind, Callable[[CameraSource], Iterator[Shot]]] = {
    "device": live,
    "url": live,
    "pipe": live,
    "recording": recording,
    "picture": pictures,
    "folder": pictures,
}
