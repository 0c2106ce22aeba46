"""What PulseAudio or PipeWire says of its sources, through `pactl`."""

import contextlib
import json
import os
import subprocess
from typing import Any

from edge.devices.source import Source

ANSWER_S = 2.0
"""A sound server that takes longer hangs."""


def environment() -> dict[str, str]:
    """Ours, with numbers and words as programs read them."""
    return {**os.environ, "LC_ALL": "C"}


def sources() -> list[Source] | None:
    """All sources; None when there is no sound server, or no `pactl` to ask it."""
    listed, server = _ask("list", "sources"), _ask("info")
    if listed is None or server is None:
        return None
    with contextlib.suppress(KeyError, ValueError, TypeError):
        return [_source(entry, server.get("default_source_name")) for entry in listed]
    return None


def recorded_by(pid: int) -> str | None:
    """Name of the source that process `pid` records from now; None when it records nothing, or nobody knows."""
    streams, listed = _ask("list", "source-outputs"), _ask("list", "sources")
    with contextlib.suppress(KeyError, TypeError):
        names = {entry["index"]: entry["name"] for entry in listed}
        for stream in streams:
            if (stream.get("properties") or {}).get("application.process.id") == str(pid):
                return names.get(stream["source"])
    return None


def _source(entry: dict[str, Any], default: str | None) -> Source:
    # such as "s16le 2ch 44100Hz"
    _, channels, rate = entry["sample_specification"].split()
    properties = entry.get("properties") or {}
    return Source(
        entry["name"],
        entry.get("description") or entry["name"],
        "sound server",
        int(rate.removesuffix("Hz")),
        int(channels.removesuffix("ch")),
        properties.get("device.class") == "monitor" or bool(entry.get("monitor_source")),
        entry["name"] == default,
    )


def _ask(*question: str) -> Any:
    """None when there is no answer that can be read."""
    try:
        done = subprocess.run(
            ["pactl", "-f", "json", *question],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ANSWER_S,
            env=environment(),
            check=False,
            start_new_session=True,  # Ctrl-C is not meant for it
        )
        return json.loads(done.stdout) if done.returncode == 0 else None
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
