"""Keeps a device's process going: passes on what it sends, ends it when it is silent, starts it again."""

import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from edge.devices.health import Health
from edge.devices.messages import DATA, FAILED, READY, Parser

SILENT_S = 1.0
"""Without a message for so long a device has stalled: microphones send every few milliseconds, cameras several times
a second."""

OPENING_S = 8.0
"""Some cameras take this long until their first picture."""

FIRST_WAIT_S, LONGEST_WAIT_S = 0.25, 2.0
"""Between two attempts; it doubles."""

_READ = 1 << 16


@dataclass(frozen=True, slots=True)
class Plan:
    """How to start the process: `python -m module arguments`, with `environment` added to ours."""

    module: str
    arguments: Sequence[str]
    device: str
    environment: Mapping[str, str]
    remedy: str = "unplug it and plug it in again"  # when it is silent


class Supervisor:
    """`received(payload)` and `changed(health)` are called from its thread and must be quick; `opened(fields)` tells
    what the process knows of the device, before its first payload.

    Each start asks `plan` anew, because a device may have got another address; a plan may raise DeviceError.
    """

    def __init__(
        self,
        plan: Callable[[], Plan],
        opened: Callable[[dict[str, object]], None],
        received: Callable[[bytes], None],
        changed: Callable[[Health], None],
        silent_s: float = SILENT_S,
        opening_s: float = OPENING_S,
    ) -> None:
        self._plan, self._opened, self._received, self._changed = plan, opened, received, changed
        self._silent_s, self._opening_s = silent_s, opening_s
        self._closing = threading.Event()
        self._again = ""
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="device", daemon=True)
        self.health = Health("absent")
        self.starts = 0

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Ends the process and the thread; the device is free when this returns. Again and early calls do no harm."""
        self._closing.set()
        self._kill()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def restart(self, reason: str) -> None:
        """Starts the process again, because it does not record what it should; from any thread."""
        self._again = reason
        self._kill()

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process else None

    def _run(self) -> None:
        wait = FIRST_WAIT_S
        while not self._closing.is_set():
            began = time.monotonic()
            self._tell(Health("opening", self.health.device))
            try:
                ended = self._live_once()
            except Exception as error:  # whatever it is, a device that cannot be driven now may be in a second
                ended = Health("absent", self.health.device, f"{type(error).__name__}: {error}")
            if self._closing.is_set():
                return
            self._tell(ended)
            if ended.state == "stalled":
                self._tell(Health("absent", ended.device, ended.reason, ended.hint))
            lived = time.monotonic() - began > 2 * LONGEST_WAIT_S
            wait = FIRST_WAIT_S if lived else min(2 * wait, LONGEST_WAIT_S)
            self._closing.wait(wait)

    def _live_once(self) -> Health:
        """From a start to its end: why it ended."""
        from edge.errors import DeviceError

        self._again = ""
        try:
            plan = self._plan()
        except DeviceError as error:
            return Health("absent", "", str(error), error.hint)
        with self._lock:
            if self._closing.is_set():
                return Health("absent")
            self._process = subprocess.Popen(
                [sys.executable, "-m", plan.module, *plan.arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **plan.environment},
                start_new_session=True,  # Ctrl-C is the parent's business
            )
        self.starts += 1
        try:
            return self._listen(self._process, plan.device, plan.remedy)
        finally:
            self._kill()
            with self._lock:
                process, self._process = self._process, None
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    pipe.close()  # type: ignore[union-attr]
            process.wait()

    def _listen(self, process: "subprocess.Popen[bytes]", device: str, remedy: str) -> Health:
        assert process.stdout
        parser, descriptor = Parser(), process.stdout.fileno()
        limit, reason, hint = self._opening_s, "it ended by itself", ""
        while not self._closing.is_set():
            if not select.select([descriptor], [], [], limit)[0]:
                what = "nothing" if limit == self._opening_s else "nothing more"
                return Health("stalled", device, f"{device} sends {what}", remedy)
            data = os.read(descriptor, _READ)
            if not data:
                break
            for kind, payload in parser.push(data):
                if kind == DATA:
                    self._received(payload)
                    if self.health.state != "live":
                        self._tell(Health("live", device))
                        limit = self._silent_s
                elif kind == READY:
                    fields = json.loads(payload)
                    device = fields.get("device", device)
                    self._opened(fields)
                elif kind == FAILED:
                    fields = json.loads(payload)
                    reason, hint = fields["reason"], fields.get("hint", "")
        return Health("absent", device, self._again or reason, hint)

    def _tell(self, health: Health) -> None:
        if health != self.health:
            self.health = health
            self._changed(health)

    def _kill(self) -> None:
        with self._lock:
            if self._process and self._process.poll() is None:
                self._process.kill()
