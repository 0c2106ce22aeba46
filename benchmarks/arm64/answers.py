"""python -m benchmarks.arm64.answers [BUNDLE]: one greedy answer in each mode, token by token, as JSON on stdout.

Runs on both machines that are compared, so it needs nothing but the wheel and the files of benchmarks/demo.
"""

import json
import platform
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge.evaluation.labels import Item, read_labels
from edge.events import Done, Mode, TextDelta
from edge.model import Model, load
from edge.prompt.tools import load_tools
from edge.runtime.sampling import SamplingOptions
from edge.runtime.selftest import int4_error
from edge.turn_options import TurnOptions

DEMO = Path(__file__).parents[1] / "demo"
MAX_TOKENS = 40
ALTERNATIVES = 5
TEXTS = ("stop conveyor two", "what can you do")
CASES = ("text", "text, longer", "speech", "speech, calls", "vision", "vision_speech")


@dataclass(frozen=True, slots=True)
class Answer:
    """`tokens`: id of each token that was chosen and natural-log probabilities of it and of the best alternatives."""

    case: str
    mode: Mode
    text: str
    calls: list[dict[str, Any]]
    tokens: list[tuple[int, dict[int, float]]]

    @classmethod
    def of(cls, fields: dict[str, Any]) -> "Answer":
        """From JSON, whose keys are strings."""
        tokens = [(token, {int(other): value for other, value in top.items()}) for token, top in fields["tokens"]]
        return cls(**(fields | {"tokens": tokens}))


def ask(model: Model, item: Item, case: str) -> Answer:
    tools = load_tools(item.tools) if item.tools else ()
    options = TurnOptions(SamplingOptions(logprobs=ALTERNATIVES), max_tokens=MAX_TOKENS)
    tokens: list[tuple[int, dict[int, float]]] = []
    conversation = model.conversation(tools=tools)
    for event in conversation.generate(item.prompt, options, images=item.images, audio=item.audio):
        if isinstance(event, TextDelta):
            tokens += [(one.token, {one.token: one.logprob} | dict(one.top)) for one in event.logprobs]
        if isinstance(event, Done):
            done = event
    return Answer(case, done.mode, done.text, [asdict(call) for call in done.tool_calls], tokens)


def main() -> None:
    model = load(sys.argv[1] if sys.argv[1:] else None)
    items = [Item(0, text, (), (), None, "exact", "") for text in TEXTS] + read_labels(DEMO)
    answers = [asdict(ask(model, item, case)) for item, case in zip(items, CASES, strict=True)]
    json.dump({"machine": platform.machine(), "int4_error": int4_error(), "answers": answers}, sys.stdout)


if __name__ == "__main__":
    main()
