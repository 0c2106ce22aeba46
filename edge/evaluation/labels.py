"""labels.jsonl: one input and what is expected of it per line. Everything is checked before anything is computed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from edge import strict_json
from edge.errors import InputError
from edge.evaluation.label_line import LabelLine
from edge.evaluation.numbers import only_number
from edge.events import Mode, ToolCall, mode_of
from edge.media.regular_file import read_regular_file
from edge.prompt.tool_calls import dump_calls, parse_calls
from edge.prompt.tools import Tool, load_tools

Metric = Literal["wer", "exact", "number", "calls"]
LABELS = "labels.jsonl"
MAX_BYTES = 256 << 20
TRANSCRIBE = "Transcribe the audio clip into text."
"""The prompt that Phi-4-multimodal was trained to transcribe with; a transcript needs no other."""

_METRICS: dict[str, tuple[Metric, ...]] = {
    "transcript": ("wer", "exact", "number"),
    "answer": ("exact", "wer", "number"),
    "calls": ("calls",),
}
"""What may be expected, and how it may be measured; the first one is meant unless a line says otherwise."""


@dataclass(frozen=True, slots=True)
class Item:
    """One line. `expected` is the text, or the calls in any order; paths are whole."""

    line: int
    prompt: str
    audio: tuple[Path, ...]
    images: tuple[Path, ...]
    tools: Path | None
    metric: Metric
    expected: str | tuple[ToolCall, ...]
    group: str = ""

    @property
    def mode(self) -> Mode:
        return mode_of(bool(self.images), bool(self.audio))


def read_labels(source: Path, tools: Path | None = None) -> list[Item]:
    """The items of a .jsonl file, or of `labels.jsonl` in a folder; media lie relative to it.

    `tools` is for the lines that expect calls and name no tools of their own. Raises InputError naming file, line and
    field: wrong JSON, unknown or missing fields, media that are not there, calls that fit no tool.
    """
    file = source / LABELS if source.is_dir() else source
    lines = read_regular_file(file, MAX_BYTES, f"a folder with {LABELS}, or a .jsonl file").split(b"\n")
    reader = _Reader(file.parent, tools)
    items = []
    for number, raw in enumerate(lines, 1):
        if raw.strip():
            where = f"{file}, line {number}"
            value = strict_json.loads(raw, where, hint="correct this line: each line is one JSON object")
            items.append(reader.item(number, LabelLine(where, value, file.parent)))
    if not items:
        raise InputError(f"{file} has no lines.", 'write lines like {"audio": "a.wav", "transcript": "hello"}')
    return items


class _Reader:
    def __init__(self, folder: Path, tools: Path | None) -> None:
        self._folder, self._common = folder, tools
        self._tools = {tools: load_tools(tools)} if tools else {}

    def item(self, number: int, line: LabelLine) -> Item:
        audio, images = line.media("audio", "a recording"), line.media("image", "an image file")
        kind, wanted = line.expectation(tuple(_METRICS))
        metric = self._metric(line, kind)
        tools, expected = line.path("tools", "a tools file"), wanted
        if kind == "calls":
            tools = tools or self._common
            expected = self._calls(line, wanted, tools)
        elif not isinstance(wanted, str):
            line.refuse(kind, "is not a text", 'write it like "stop conveyor two"')
        elif metric == "number" and only_number(wanted) is None:
            line.refuse(kind, f"is {wanted[:40]!r}, which is not one number", 'write "66.00", or use "metric": "exact"')
        if tools:
            self._load(line, tools)
        if kind == "transcript" and not audio:
            line.refuse("audio", "is missing, and a transcript needs it", 'add "audio": "FILE", or expect an "answer"')
        prompt = line.text("prompt")
        if prompt is None:
            prompt = TRANSCRIBE if kind == "transcript" and not images else ""
        if not prompt.strip() and not audio:
            line.refuse("prompt", "is missing or empty", 'add "prompt": "the question"')
        return Item(number, prompt, audio, images, tools, metric, expected, line.text("group") or "")

    def _metric(self, line: LabelLine, kind: str) -> Metric:
        allowed = _METRICS[kind]
        metric = line.text("metric") or allowed[0]
        if metric not in get_args(Metric):
            line.refuse("metric", f"is {metric[:40]!r}", f"use one of {', '.join(get_args(Metric))}")
        if metric not in allowed:
            line.refuse("metric", f"{metric} does not measure {kind}", f"use one of {', '.join(allowed)}")
        return next(one for one in allowed if one == metric)

    def _calls(self, line: LabelLine, wanted: Any, tools: Path | None) -> tuple[ToolCall, ...]:
        """Only calls that the runtime itself would accept can ever be answered rightly."""
        example = 'write it like [{"name": "stop", "arguments": {"conveyor": 2}}], or [] for no call'
        if not isinstance(wanted, list):
            line.refuse("calls", "is not a list", example)
        if tools is None:
            line.refuse("tools", "is missing, and calls need it", 'add "tools": "FILE.json", or use --tools FILE.json')
        known = self._load(line, tools)
        found = []
        for call in wanted:
            if not isinstance(call, dict) or set(call) != {"name", "arguments"}:
                line.refuse("calls", "holds something other than a name with arguments", example)
            if call["name"] not in [tool.name for tool in known]:
                line.refuse("calls", f"names {str(call['name'])[:40]!r}, which {tools} does not hold", f"see {tools}")
            call = ToolCall(call["name"], call["arguments"])
            if not parse_calls(dump_calls((call,)), known):
                line.refuse("calls", f"has arguments that do not fit {call.name}", f"see its parameters in {tools}")
            found.append(call)
        return tuple(found)

    def _load(self, line: LabelLine, path: Path) -> list[Tool]:
        if path not in self._tools:
            try:
                self._tools[path] = load_tools(path)
            except InputError as error:
                line.refuse("tools", f"cannot be used: {str(error).rstrip('.')}", error.hint)
        return self._tools[path]
