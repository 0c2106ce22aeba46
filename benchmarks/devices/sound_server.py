"""A PulseAudio of our own, with microphones that come and go; no person's sound server is touched."""

import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE_S = 30.0
BOOTH = "booth"


class SoundServer:
    """`start` and `stop` it as often as wanted; its microphones are `add`ed and `remove`d by name. The first source
    is the default until another is chosen."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._socket = directory / "native"
        self._process: subprocess.Popen[bytes] | None = None
        self._modules: dict[str, str] = {}
        settings = directory / ".config/pulse/client.conf"
        settings.parent.mkdir(parents=True)
        settings.write_text(f"default-server = unix:{self._socket}\nautospawn = no\n")
        self.environment = {
            "PULSE_SERVER": f"unix:{self._socket}",
            "PULSE_RUNTIME_PATH": str(directory / "pulse"),
            "XDG_RUNTIME_DIR": str(directory),
            "HOME": str(directory),
        }

    def start(self) -> None:
        script = self._directory / "start.pa"
        script.write_text(f"load-module module-native-protocol-unix socket={self._socket} auth-anonymous=1\n")
        arguments = ("-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "-F", str(script))
        self._process = subprocess.Popen(
            ["pulseaudio", *arguments],
            env=os.environ | self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._modules.clear()
        ready = threading.Event()
        for _ in range(int(PATIENCE_S / 0.05)):
            if self._socket.exists() and self._pactl("info", check=False).returncode == 0:
                return
            ready.wait(0.05)
        raise AssertionError("PulseAudio does not start")

    def stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
            self._socket.unlink(missing_ok=True)

    def add(self, name: str, rate: int = 48000, channels: int = 1) -> None:
        """A silent microphone."""
        options = f"source_name={name} rate={rate} channels={channels} description={name.upper()}-for-people"
        self._load(name, "module-null-source", *options.split())

    def add_loudspeaker(self, name: str, rate: int = 44100, channels: int = 2) -> None:
        """What is played to it can be recorded from its monitor."""
        self._load(name, "module-null-sink", f"sink_name={name}", f"rate={rate}", f"channels={channels}")

    def remove(self, name: str) -> None:
        self._pactl("unload-module", self._modules.pop(name))

    def choose(self, name: str) -> None:
        self._pactl("set-default-source", name)

    def move_recordings(self, name: str) -> None:
        for number in self.recordings():
            self._pactl("move-source-output", number, name)

    def recordings(self) -> list[str]:
        """The number of each that is under way."""
        return [line.split()[0] for line in self._pactl("list", "short", "source-outputs").stdout.splitlines()]

    def remember_sources(self) -> None:
        """Who was moved to a source gets it again."""
        self._pactl("load-module", "module-stream-restore", "restore_device=true")

    def clients(self) -> int:
        """How many programs are connected, the one that asks included."""
        return len(self._pactl("list", "short", "clients").stdout.splitlines())

    def play(self, tone: Path, loudspeaker: str) -> subprocess.Popen[bytes]:
        environment = os.environ | self.environment
        return subprocess.Popen(["paplay", f"--device={loudspeaker}", str(tone)], env=environment)

    def _load(self, name: str, module: str, *options: str) -> None:
        self._modules[name] = self._pactl("load-module", module, *options).stdout.strip()

    def _pactl(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        environment = os.environ | self.environment
        return subprocess.run(["pactl", *arguments], env=environment, capture_output=True, text=True, check=check)

    def play_to_end(self, recording: Path, loudspeaker: str) -> None:
        """Returns when it has been heard. Raises CalledProcessError."""
        if code := self.play(recording, loudspeaker).wait():
            raise subprocess.CalledProcessError(code, "paplay")


@contextmanager
def virtual_microphone() -> Iterator[SoundServer]:
    """For this process and its children: its only microphone hears what is played to the loudspeaker `BOOTH`."""
    with tempfile.TemporaryDirectory() as directory:
        server = SoundServer(Path(directory))
        os.environ |= server.environment
        server.start()
        server.add_loudspeaker(BOOTH)
        try:
            yield server
        finally:
            server.stop()
