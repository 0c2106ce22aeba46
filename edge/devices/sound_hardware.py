"""Why ALSA does not show a microphone that is plugged in: what the kernel tells of its sound devices."""

import os
import re
from pathlib import Path

_DEVICES, _STATUS = Path("/dev/snd"), Path("/proc/asound")
_SERVERS = ("pulseaudio", "pipewire", "wireplumber")
_WAY_TO_SERVER = "sudo apt install libasound2-plugins"


def trouble(devices: Path = _DEVICES, status: Path = _STATUS) -> tuple[str, str] | None:
    """(reason, hint) when the machine has recording hardware that cannot be used now, None when there is no such."""
    recorders = sorted(devices.glob("pcmC*D*c")) if devices.is_dir() else []
    closed = [one for one in recorders if not os.access(one, os.R_OK | os.W_OK)]
    if recorders and len(closed) == len(recorders):
        return "this user may not use the sound devices", "sudo usermod -aG audio $USER, and log in again"
    for path in sorted(status.glob("card*/pcm*c/sub*/status")):
        try:
            owner = re.search(r"owner_pid\s*:\s*(\d+)", path.read_text())
        except OSError:
            continue
        if owner:
            program = _name_of(owner[1])
            if program in _SERVERS:
                return f"{program} holds the microphone, and PortAudio cannot ask it", _WAY_TO_SERVER
            return f"process {owner[1]} ({program or '?'}) holds the microphone", f"end it:  kill {owner[1]}"
    return None


def _name_of(pid: str) -> str:
    try:
        return Path("/proc", pid, "comm").read_text().strip()
    except OSError:
        return ""
