"""Microphones by name: what there is, and which one a name means."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from edge.devices import sound_server
from edge.devices.portaudio import THROUGH_SERVER
from edge.devices.sound_hardware import trouble
from edge.devices.source import Source
from edge.errors import DeviceError

PROCESS = "edge.devices.microphone_process"
LISTING_S = 5.0
"""PortAudio opens every device to learn what it can do; so long at most."""

SEE = "see what there is:  edge devices"


def direct_sources(everything: bool = True) -> list[Source]:
    """What PortAudio offers; with ALSA also converters and such unless not `everything`.

    Raises DeviceError when PortAudio cannot be loaded or hangs.
    """
    return [
        Source(one["name"], one["name"], "direct", one["rate"], one["channels"], False, one["default"])
        for one in _listing()
        if everything or one["system"] != "ALSA" or "(hw:" in one["name"]
    ]


def microphones() -> list[Source]:
    """For people who choose: of the sound server, then direct. Raises DeviceError as `direct_sources` does."""
    direct = direct_sources(everything=False)
    served = sound_server.sources()
    if served is None:
        return direct or [one for one in direct_sources() if one.default]
    # with a sound server only its own choice counts
    return served + [replace(one, default=False) for one in direct]


def resolve(name: str | None) -> Source | None:
    """The microphone that `name` means; None for PortAudio's own default. Raises DeviceError.

    No name means the sound server's default. A whole name or description comes before a part of it, all without
    regard to case; sources of the server come before direct devices, which may be the same microphone again, and
    monitors last.
    """
    served = sound_server.sources()
    if not name:
        if served is not None and not served:
            raise DeviceError("the sound server has no microphone", "plug one in, then see: edge devices")
        return next((one for one in served or [] if one.default), served[0] if served else None)
    served = served or []
    if found := _whole(name, served):
        return found
    direct = direct_sources()
    if found := _whole(name, direct):
        return found
    for some in ([one for one in served if not one.monitor], direct, [one for one in served if one.monitor]):
        if found := _part(name, some):
            return found
    raise DeviceError(*(_held(served, direct) or (f"there is no microphone named {name!r}", SEE)))


def _whole(name: str, sources: Sequence[Source]) -> Source | None:
    wanted = name.casefold()
    found = [one for one in sources if wanted == one.name.casefold()]
    return _one(name, found or [one for one in sources if wanted == one.description.casefold()])


def _part(name: str, sources: Sequence[Source]) -> Source | None:
    wanted = name.casefold()
    return _one(name, [one for one in sources if wanted in f"{one.name}\n{one.description}".casefold()])


def _one(name: str, found: Sequence[Source]) -> Source | None:
    if len(found) > 1:
        names = " and ".join(repr(one.name) for one in found)
        raise DeviceError(f"{name!r} means {len(found)} microphones: {names}", "give more of the name")
    return found[0] if found else None


def _held(served: Sequence[Source], direct: Sequence[Source]) -> tuple[str, str] | None:
    """Hardware that somebody else holds is not listed; with a sound server that is usual and says nothing."""
    return None if served or any(one.name in THROUGH_SERVER[:2] for one in direct) else trouble()


def _listing() -> list[dict[str, Any]]:
    command = [sys.executable, "-m", PROCESS, "--list"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LISTING_S,
            check=False,
            start_new_session=True,
        )
        answer: dict[str, Any] = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        raise DeviceError(f"PortAudio has not listed its devices within {LISTING_S:.0f} s", "try again") from None
    except ValueError:
        raise DeviceError("PortAudio crashed while it listed its devices", "try again") from None
    if "reason" in answer:
        raise DeviceError(answer["reason"], answer["hint"])
    devices: list[dict[str, Any]] = answer["devices"]
    return devices
