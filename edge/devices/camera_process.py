"""The process that holds the camera: `python -m edge.devices.camera_process KIND NAME`; the only one that opens any.

READY tells device, width, height, still (pictures may stay the same) and fresh_s (how old one may become). Each DATA
holds uint32 height, uint32 width, float64 `time.monotonic()` when the picture was taken, then RGB.
"""

import contextlib
import os
import struct
import sys
from typing import cast

import cv2
import numpy as np

from edge.devices.camera_feeds import FEEDS
from edge.devices.camera_source import CameraSource, Kind
from edge.devices.messages import DATA, FAILED, READY, leave_with_parent, send, send_json
from edge.errors import DeviceError, EdgeError

ADDRESS = "EDGE_CAMERA_ADDRESS"
"""In the environment, because everybody may read the arguments of a process, and a URL may hold a password."""

HEAD = struct.Struct("<IId")
"""The time is one for all processes of a machine: the wait in the pipe counts, too."""

LONGEST_SIDE = 3840
"""Pixels: 36 crops show at most 3584 of a picture up to twice as wide as high (8 columns of 448), so none is lost."""

FRESH_S, FOLDER_FRESH_S = 1.0, 60.0
"""A program that writes into a folder may take its time, but when it has ended its last picture is not the present."""


def main() -> None:
    leave_with_parent()
    output = _quiet_stdout()
    cv2.setNumThreads(1)
    kind = cast(Kind, sys.argv[1])
    try:
        _send_pictures(output, CameraSource(kind, os.environ.pop(ADDRESS), sys.argv[2]))
    except BrokenPipeError:
        pass
    except Exception as error:
        if not isinstance(error, EdgeError):  # their words may hold the address
            error = DeviceError(f"{sys.argv[2]} cannot be read ({type(error).__name__})", "choose another camera")
        with contextlib.suppress(BrokenPipeError):
            send_json(output, FAILED, {"reason": str(error), "hint": error.hint})
    os._exit(0)  # a broken device may hang when it is closed


def _quiet_stdout() -> int:
    """The descriptor for messages. OpenCV and FFmpeg print to the standard streams, which now lead nowhere."""
    output, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return output


def _send_pictures(output: int, source: CameraSource) -> None:
    ready = False
    for picture, taken_s in FEEDS[source.kind](source):
        rgb = _reduced(picture)
        height, width = rgb.shape[:2]
        if not ready:
            still = source.kind in ("picture", "folder")
            fresh_s = FOLDER_FRESH_S if source.kind == "folder" else FRESH_S
            known = {"device": source.name, "width": width, "height": height, "still": still, "fresh_s": fresh_s}
            send_json(output, READY, known)
            ready = True
        send(output, DATA, HEAD.pack(height, width, taken_s), rgb.data)


def _reduced(rgb: np.ndarray) -> np.ndarray:
    longest = max(rgb.shape[:2])
    if longest <= LONGEST_SIDE:
        return np.ascontiguousarray(rgb)
    height, width = (max(1, round(side * LONGEST_SIDE / longest)) for side in rgb.shape[:2])
    return cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)


if __name__ == "__main__":
    main()
