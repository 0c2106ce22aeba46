"""The loop without a screen: answers on stdout, one JSON object a line if asked for, all else on stderr."""

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from edge.cli.console import harmless, say

if TYPE_CHECKING:
    import numpy as np

    from edge.devices.health import Health
    from edge.devices.level import Level
    from edge.live.outcome import Outcome
    from edge.live.screen import Report, State


class Lines:
    """A Screen for pipes, logs and other programs. Nobody can confirm a call here."""

    can_ask = False

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._text = ""
        self._calls: list[dict[str, Any]] = []
        self._devices: dict[str, Health] = {}

    def state(self, state: "State") -> None:
        self._tell({"event": "state", "state": state}, "")

    def level(self, level: "Level") -> None:
        """Nothing: it would fill the log."""

    def microphone(self, health: "Health") -> None:
        self._device("microphone", health)

    def camera(self, health: "Health") -> None:
        self._device("camera", health)

    def picture(self, rgb: "np.ndarray") -> None:
        self._tell({"event": "picture", "height": rgb.shape[0], "width": rgb.shape[1]}, "")

    def text(self, text: str) -> None:
        self._text += text

    def call(self, name: str, arguments: dict[str, Any]) -> None:
        self._calls.append({"name": name, "arguments": arguments})

    def ask(self, line: str) -> None:
        """Never: see `can_ask`."""

    def outcome(self, outcome: "Outcome") -> None:
        self._tell({"event": "outcome", "ok": outcome.ok, "result": outcome.text}, f"result: {outcome.text}")

    def note(self, text: str) -> None:
        self._tell({"event": "note", "text": text}, text)

    def error(self, error: Exception) -> None:
        hint = getattr(error, "hint", "")
        line = f"error: {error}" + (f"\n  next: {hint}" if hint else "")
        self._tell({"event": "error", "text": str(error), "hint": hint}, line)

    def turn(self, report: "Report") -> None:
        done = report.done
        if self._as_json:
            fields = {"spoken_s": report.utterance.seconds, "first_token_s": report.first_token_s}
            fields["after_voice_s"] = report.after_voice_s
            answer = {"text": self._text, "tool_calls": self._calls, "finish_reason": done.finish_reason}
            rounded = {name: round(seconds, 4) for name, seconds in fields.items()}
            self._write({"event": "answer", **answer, "mode": done.mode, **rounded, "usage": asdict(done.usage)})
        else:
            lines = [self._text.strip(), *(json.dumps(call, ensure_ascii=False) for call in self._calls)]
            text = "\n".join(line for line in lines if line)
            print(harmless(text) if sys.stdout.isatty() else text, flush=True)
        self.clear()

    def clear(self) -> None:
        """What was shown of an answer is void."""
        self._text, self._calls = "", []

    def close(self) -> None:
        """Nothing is left open."""

    def _device(self, what: str, health: "Health") -> None:
        if self._devices.get(what) == health:
            return
        self._devices[what] = health
        named = f" ({health.device})" if health.device else ""
        reason = f": {health.reason}" if health.reason else ""
        hint = f"\n  next: {health.hint}" if health.hint else ""
        line = f"{what} {health.state}{named}{reason}{hint}"
        self._tell({"event": what, **asdict(health)}, line)

    def _tell(self, fields: dict[str, Any], line: str) -> None:
        if self._as_json:
            self._write(fields)
        elif line:
            say(harmless(line))

    def _write(self, fields: dict[str, Any]) -> None:
        print(json.dumps({"schema": 1} | fields), flush=True)
