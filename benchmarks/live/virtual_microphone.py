"""A sound server of its own, whose only microphone hears what is played to it."""

import os
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

SCRIPT = """load-module module-native-protocol-unix socket={folder}/native auth-anonymous=1
load-module module-null-sink sink_name=vmic
set-default-source vmic.monitor
"""
STARTS_S = 20.0


class VirtualMicrophone:
    """As long as the context lasts, PortAudio's default microphone in this process and its children."""

    def __enter__(self) -> "VirtualMicrophone":
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        (folder / "script.pa").write_text(SCRIPT.format(folder=folder))
        os.environ["PULSE_SERVER"] = f"unix:{folder}/native"
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "-F", str(folder / "script.pa")]
        environment = os.environ | {"XDG_RUNTIME_DIR": str(folder), "HOME": str(folder)}
        self._server = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        end = time.monotonic() + STARTS_S
        while subprocess.run(["pactl", "info"], capture_output=True, check=False).returncode:
            if time.monotonic() > end or self._server.poll() is not None:
                raise SystemExit("pulseaudio does not start: apt install pulseaudio pulseaudio-utils")
            time.sleep(0.1)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.terminate()
        self._server.wait()
        self._folder.cleanup()

    def play(self, file: Path) -> None:
        """Returns at its end."""
        subprocess.run(["paplay", "--device=vmic", str(file)], check=True)
