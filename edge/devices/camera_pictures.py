"""A picture file or a folder of pictures in the place of a camera."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edge.devices.camera_source import CameraSource
from edge.errors import DeviceError, EdgeError
from edge.media.image_file import read_image

Shot = tuple[np.ndarray, float]
"""uint8 [height, width, 3] in RGB order; `time.monotonic()` of the moment it was taken."""

PERIOD_S = 0.19
"""Between two pictures, at least: a little less than what cameras with four or five a second have in between."""

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}


def pictures(source: CameraSource) -> Iterator[Shot]:
    """A picture file, or the newest one of a folder, again and again; a changed or a newer one as soon as it is whole.

    A folder's picture was taken when its file was written, a picture file always now.
    """
    current: tuple[str, int, int] | None = None
    picture, written = None, 0.0
    while True:
        refusal = f"there is no picture in {source.name}"
        for path, status in _newest(source)[:3]:
            version = str(path), status.st_mtime_ns, status.st_size
            if version == current:
                break
            try:
                picture = read_image(path)
            except EdgeError as error:  # half written: it is tried again, and until then there is the one before
                refusal = str(error)
                continue
            current = version
            written = time.monotonic() - max(time.time() - status.st_mtime, 0.0)
            break
        if picture is None:
            raise DeviceError(refusal, "give a picture file, or a folder that a camera program writes into")
        yield picture, written if source.kind == "folder" else time.monotonic()
        time.sleep(PERIOD_S)


def _newest(source: CameraSource) -> list[tuple[Path, os.stat_result]]:
    try:
        if source.kind == "picture":
            return [(Path(source.address), Path(source.address).stat())]
        with os.scandir(source.address) as entries:
            found = [
                (Path(entry.path), entry.stat())
                for entry in entries
                if Path(entry.name).suffix.lower() in SUFFIXES and not entry.name.startswith(".") and entry.is_file()
            ]
    except OSError as error:
        raise DeviceError(f"{source.name} cannot be read: {error.strerror}", "put it back") from None
    return sorted(found, key=lambda one: (one[1].st_mtime_ns, one[0].name), reverse=True)
