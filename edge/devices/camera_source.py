"""What the user means by a camera: a device, a picture, a recording, a folder, a named pipe or a URL."""

import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from edge.errors import DeviceError
from edge.media.image_header import image_format

Kind = Literal["device", "picture", "recording", "folder", "pipe", "url"]

SCHEMES = ("http", "https", "rtsp", "rtsps")
STAND_IN = "or give a picture, a video file, a folder, a named pipe or a URL"

NAMES = Path("/sys/class/video4linux")
DEVICES = Path("/dev")


@dataclass(frozen=True, slots=True)
class CameraSource:
    """`address` opens it and may hold a password; `name` is for people and holds none."""

    kind: Kind
    address: str
    name: str


def cameras(names: Path = NAMES) -> dict[int, str]:
    """Number to name of each connected camera; empty where the system does not list them as Linux does."""
    found = {}
    for folder in names.glob("video*"):
        try:
            # a camera's further nodes, such as the one for metadata, have the same name and other indices
            if (folder / "index").read_text().strip() == "0":
                found[int(folder.name.removeprefix("video"))] = (folder / "name").read_text().strip()
        except (OSError, ValueError):  # it is being unplugged
            continue
    return dict(sorted(found.items()))


def find_source(text: str, names: Path = NAMES, devices: Path = DEVICES) -> CameraSource:
    """A URL, a camera's number, a path that exists, a camera's name, or a part of that name in capitals or not.

    Raises DeviceError for what is none of these, or means several cameras.
    """
    if "://" in text:
        return CameraSource("url", text, _public(text))
    if text.isdecimal():
        return _numbered(int(text), names, devices)
    if not text:  # as a path it would be this folder
        return _named(text, names, devices)
    try:
        mode = Path(text).stat().st_mode
    except FileNotFoundError:
        return _named(text, names, devices)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "this is no file name"
        raise DeviceError(f"{text!r} cannot be read: {reason}", "check the path and its permissions") from None
    return CameraSource(_kind(text, mode), text, text)


def _public(url: str) -> str:
    """Without user, password and query, which on many cameras holds them as well."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        scheme, host, port = "", None, None
    else:
        scheme = parts.scheme
    if scheme not in SCHEMES or not host:
        raise DeviceError(
            f"the URL is not one of a camera: it has to begin with {', '.join(SCHEMES)} and name a host",
            "for example:  http://192.168.1.20:8080/video.mjpg",
        )
    return f"{scheme}://{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}{parts.path}"


def _numbered(number: int, names: Path, devices: Path) -> CameraSource:
    if sys.platform != "linux":
        return CameraSource("device", str(number), f"camera {number}")
    path = devices / f"video{number}"
    if not path.exists():
        raise DeviceError(f"there is no camera {number}: {path} does not exist", _what_there_is(names))
    return _device(number, names, devices)


def _named(text: str, names: Path, devices: Path) -> CameraSource:
    wanted, connected = text.casefold(), cameras(names)
    found = [number for number, name in connected.items() if name.casefold() == wanted]
    found = found or [number for number, name in connected.items() if wanted and wanted in name.casefold()]
    if not found:
        raise DeviceError(f"{text!r} is neither a camera nor a file", _what_there_is(names))
    if len(found) > 1:
        each = " and ".join(f"{connected[number]} ({number})" for number in found)
        raise DeviceError(f"{text!r} means {len(found)} cameras: {each}", "give more of the name, or the number")
    return _device(found[0], names, devices)


def _device(number: int, names: Path, devices: Path) -> CameraSource:
    path = devices / f"video{number}"
    name = cameras(names).get(number)
    return CameraSource("device", str(path), f"{name} ({path})" if name else str(path))


def _kind(path: str, mode: int) -> Kind:
    if stat.S_ISCHR(mode):
        return "device"
    if stat.S_ISDIR(mode):
        return "folder"
    if stat.S_ISFIFO(mode):
        return "pipe"
    if not stat.S_ISREG(mode):
        raise DeviceError(f"{path} is neither a camera nor a file", f"choose a camera by its number, {STAND_IN}")
    try:
        with Path(path).open("rb") as file:
            return "picture" if image_format(file.read(16)) else "recording"
    except OSError as error:
        raise DeviceError(f"{path} cannot be read: {error.strerror}", "check its permissions") from None


def _what_there_is(names: Path) -> str:
    connected = ", ".join(f"{number} ({name})" for number, name in cameras(names).items())
    return f"connected: {connected}; {STAND_IN}" if connected else f"plug one in, {STAND_IN}"
