"""The loop on a terminal: state, level, answer, picture and times, with what was said before scrolling above."""

import json
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.live import Live as RichLive
from rich.text import Text

from edge.cli.console import harmless, stdout
from edge.cli.picture_art import thumbnail
from edge.devices.health import Health

if TYPE_CHECKING:
    import numpy as np

    from edge.devices.level import Level
    from edge.live.outcome import Outcome
    from edge.live.screen import Report, State

LOOKS: "dict[State, tuple[str, str, str]]" = {
    "deaf": ("○", "not listening", "red"),
    "listening": ("●", "listening", "green"),
    "hearing": ("◉", "hearing you", "bold red"),
    "thinking": ("◌", "thinking", "yellow"),
    "answering": ("▶", "answering", "cyan"),
    "asking": ("?", "may this run?  y / n", "bold yellow"),
    "acting": ("⚙", "running", "magenta"),
    "speaking": ("♪", "speaking", "cyan"),
}
KEYS = "m mute · esc stop · Ctrl-C leave"
BUTTON = "space speak, space done · "
BAR, FLOOR_DBFS = 24, -60.0
PICTURE = 48, 14
"""Columns and rows of the picture."""


class Live:
    """A Screen. It is drawn again only when something on it has changed: an idle terminal costs nothing. Until the
    first call the terminal stays as it is, and `close` gives it back."""

    can_ask = True

    def __init__(self, push_to_talk: bool = False) -> None:
        self._console = stdout()
        self._keys = (BUTTON if push_to_talk else "") + KEYS
        self._state: State = "deaf"
        self._level = self._verdict = ""
        self._devices = {"microphone": Health("opening"), "camera": Health("absent")}
        self._picture: Text | None = None
        self._answer = Text()
        self._asked = ""
        self._drawn = ""
        self._live = RichLive(Text(), console=self._console, auto_refresh=False, transient=True)

    def state(self, state: "State") -> None:
        self._state = state
        if state != "asking":
            self._asked = ""
        self._draw()

    def level(self, level: "Level") -> None:
        filled = round(BAR * max(0.0, 1 - level.held / FLOOR_DBFS)) if level.held > FLOOR_DBFS else 0
        self._level = "▮" * filled + "▯" * (BAR - filled)
        self._verdict = "" if level.verdict == "good" else level.verdict
        self._draw()

    def microphone(self, health: Health) -> None:
        self._devices["microphone"] = health
        self._draw()

    def camera(self, health: Health) -> None:
        self._devices["camera"] = health
        self._draw()

    def picture(self, rgb: "np.ndarray") -> None:
        self._picture = thumbnail(rgb, *PICTURE)
        self._draw()

    def text(self, text: str) -> None:
        self._answer.append(harmless(text))
        self._draw()

    def call(self, name: str, arguments: dict[str, Any]) -> None:
        text = harmless(f"{name}({json.dumps(arguments, ensure_ascii=False)[1:-1]})")
        self._answer.append(("\n" if self._answer else "") + text, "bold magenta")
        self._draw()

    def ask(self, line: str) -> None:
        """Above as well, where all of it can be read however long it is."""
        self._asked = harmless(line)
        self._console.print(Text.assemble(("  run? ", "bold yellow"), self._asked))
        self._draw()

    def outcome(self, outcome: "Outcome") -> None:
        self._console.print(Text(f"  → {harmless(outcome.text)}", "green" if outcome.ok else "red"))

    def note(self, text: str) -> None:
        self._console.print(Text(f"  {harmless(text)}", "yellow"))

    def error(self, error: Exception) -> None:
        hint = getattr(error, "hint", "")
        self._console.print(Text(harmless(f"  error: {error}" + (f"\n  next: {hint}" if hint else "")), "red"))

    def turn(self, report: "Report") -> None:
        if self._picture:
            self._console.print(self._picture)
        self._console.print(self._answer)
        speed = report.done.timing.decode_tokens_per_s
        heard, waited = report.utterance.seconds, report.first_token_s
        times = f"{heard:.1f} s heard · first token {waited:.2f} s after the end was certain"
        self._console.print(Text(f"  {times} · {speed:.0f} tokens/s", "dim"))
        self.clear()

    def clear(self) -> None:
        self._answer, self._picture = Text(), None
        self._draw()

    def close(self) -> None:
        self._live.stop()

    def _draw(self) -> None:
        icon, word, style = LOOKS[self._state]
        line = Text.assemble((f"{icon} {word:14}", style), " ", self._level, ("  " + self._verdict, "yellow"))
        below = [line]
        for name, health in self._devices.items():
            if health.state != "live" and (health.reason or health.state == "opening"):
                hint = f"  next: {health.hint}" if health.hint else ""
                below.append(Text(harmless(f"  {name} {health.state}: {health.reason}{hint}").rstrip(": "), "red"))
        if self._asked:
            below.append(Text.assemble(("  run  ", "bold yellow"), self._asked))
        below.append(Text(f"  {self._keys}", "dim"))
        parts: list[Text] = [self._picture] if self._picture else []
        parts += [self._tail(self._console.height - len(below) - len(parts) * PICTURE[1] - 2)] if self._answer else []
        drawn = repr([part.markup for part in parts + below])
        if drawn != self._drawn:
            self._drawn = drawn
            self._live.start()  # nothing happens when it has been started
            self._live.update(Group(*parts, *below), refresh=True)

    def _tail(self, lines: int) -> Text:
        """The end of the answer: what does not fit on the screen would push all that is below it out."""
        return Text("\n").join(self._answer.wrap(self._console, self._console.width)[-max(lines, 3) :])
