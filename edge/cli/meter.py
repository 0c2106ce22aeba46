"""The level of a microphone: a bar on a terminal, else a line per second."""

import queue
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from edge.cli.console import harmless, say, stderr
from edge.errors import DeviceError

if TYPE_CHECKING:
    from rich.text import Text

    from edge.devices.health import Health
    from edge.devices.microphone import Microphone

BAR = 48
LOWEST_DBFS = -72.0
TERMINAL_S, LOG_S = 0.1, 1.0
COLOURS = {"good": "green", "clipping": "red", "too quiet": "yellow", "no signal": "red"}


def show_level(name: str | None) -> int:
    """Until a signal: Ctrl-C is the usual end, so its exit code is 0. Raises DeviceError when there never was any."""
    from edge.devices.microphone import Microphone

    healths: queue.SimpleQueue[Health] = queue.SimpleQueue()
    # SIGTERM as well becomes an exception, so that the cursor comes back and the device is let go
    with _signals(), Microphone(name, lambda samples: None, healths.put) as microphone:
        try:
            _wait_for_first(healths)
            if sys.stderr.isatty():
                _draw(microphone)
            else:
                _log(microphone)
        except KeyboardInterrupt as signalled:
            number = signalled.args[0] if signalled.args else signal.SIGINT
    return 0 if number == signal.SIGINT else 128 + number


@contextmanager
def _signals() -> Iterator[None]:
    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt(number)

    previous = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _wait_for_first(healths: "queue.SimpleQueue[Health]") -> None:
    while (health := healths.get()).state != "live":
        if health.state == "absent":
            raise DeviceError(health.reason, health.hint or "see what there is:  edge devices")


def _draw(microphone: "Microphone") -> None:
    from rich.live import Live

    with Live(console=stderr(), auto_refresh=False, transient=True) as screen:
        while True:
            screen.update(_line(microphone, bar=True), refresh=True)
            time.sleep(TERMINAL_S)


def _log(microphone: "Microphone") -> None:
    while True:
        say(_line(microphone, bar=False).plain)
        time.sleep(LOG_S)


def _line(microphone: "Microphone", bar: bool) -> "Text":
    from rich.text import Text

    health, level = microphone.health, microphone.level
    if health.state != "live":
        return Text(harmless(f"{health.state}: {health.reason}".rstrip(": ")), "yellow")
    line = Text()
    if bar:
        peak, held = _cells(level.peak), _cells(level.held)
        line.append("█" * peak + " " * (BAR - peak), COLOURS[level.verdict])
        line.append("▏" if held >= peak else " ")
    line.append(f"peak {level.peak:6.1f}  rms {level.rms:6.1f}  held {level.held:6.1f} dBFS  ")
    line.append(f"{level.verdict}{': ' * bool(level.advice)}{level.advice}", COLOURS[level.verdict])
    if microphone.dropped or microphone.overflows:
        line.append(f"  {microphone.dropped} frames lost, {microphone.overflows} overflows")
    return line.append(harmless(f"  ({health.device})"))


def _cells(dbfs: float) -> int:
    """Of the bar: full at 0 dBFS."""
    return round(max(0.0, 1 - dbfs / LOWEST_DBFS) * BAR)
