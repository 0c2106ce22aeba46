"""One turn on the terminal: options to TurnOptions, events to stdout, the `--json` object."""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from edge.cli.console import harmless, say, stderr

if TYPE_CHECKING:
    from edge.events import Done, Event
    from edge.model import Model


def show(events: "Iterable[Event]", quiet: bool) -> "Done":
    """Streams text to stdout unless `quiet`; announcements and prefill progress go to stderr."""
    from edge.events import Done, Encode, LongContext, ModeSwitch, Prefill, Reprefill, TextDelta, Tiling, ToolCall

    done: Done | None = None
    line_open = False
    progress = _ProgressLine()
    for event in events:
        match event:
            case Tiling():
                late = event.expected_ttft_s > event.wanted_ttft_s
                missed = f", more than the {event.wanted_ttft_s:g} s wanted" if late else ""
                say(f"at most {event.max_crops} crops: first token after about {event.expected_ttft_s:.1f} s{missed}")
            case Encode():
                what = "listening" if event.kind == "speech" else "looking"
                progress.update(what, event.done, event.total, "windows" if event.kind == "speech" else "crops")
            case Prefill():
                progress.update("reading the prompt", event.done, event.total, "tokens")
            case ModeSwitch():
                again = f", reading {event.tokens:,} tokens again" if event.tokens else ""
                say(f"{event.before} → {event.after}{again}")
            case LongContext():
                say(f"{event.tokens:,} tokens: beyond {event.limit:,} the factors for long positions apply")
            case Reprefill():
                say(f"reading all {event.tokens:,} tokens again: {event.reason}")
            case TextDelta():
                progress.clear()
                if event.text and not quiet:
                    _write(event.text)
                    line_open = not event.text.endswith("\n")
            case ToolCall():
                if not quiet:
                    call = {"name": event.name, "arguments": event.arguments}
                    _write("\n" * line_open + json.dumps(call, ensure_ascii=False) + "\n")
                    line_open = False
            case Done():
                done = event
    progress.clear()
    assert done is not None, "a generation ends with Done"
    if line_open:
        _write("\n")
    return done


def _write(text: str) -> None:
    """A terminal obeys control characters, so there an answer's own are shown as escapes; a pipe gets them as is."""
    sys.stdout.write(harmless(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()


def as_json(done: "Done", model: "Model", logprobs: list[Any] | None = None) -> str:
    """The object of `--json`; its fields are part of the interface."""
    from edge.doctor import peak_rss

    usage, timing = asdict(done.usage), asdict(done.timing)
    fields: dict[str, Any] = {
        "schema": 1,
        "text": done.text,
        "tool_calls": [asdict(call) for call in done.tool_calls],
        "finish_reason": done.finish_reason,
        "mode": done.mode,
        "usage": usage,
        "timing": {"load_s": round(model.load_s, 4)} | {key: round(value, 4) for key, value in timing.items()},
        "memory": {"peak_rss_bytes": peak_rss()},
        "compute": model.compute,
        "bundle": {"name": model.manifest.name, "digest": model.bundle.digest},
    }
    if logprobs is not None:
        fields["logprobs"] = logprobs
    return json.dumps(fields)  # ASCII, which is valid JSON in every encoding and on every terminal


class _ProgressLine:
    """A line that is overwritten while media are encoded or a long prompt is read; only on a terminal."""

    def __init__(self) -> None:
        self._shown = ""

    def update(self, what: str, done: int, total: int, unit: str) -> None:
        if done < total and sys.stderr.isatty():
            if what != self._shown:
                self.clear()
            stderr().print(f"{what}: {done:,} of {total:,} {unit}", end="\r")
            self._shown = what

    def clear(self) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            self._shown = ""
