"""What was asked for and what came of it, item by item."""

from dataclasses import dataclass, field
from typing import Any

from edge.evaluation.labels import Item
from edge.evaluation.scores import Reply, Score, score
from edge.events import ToolCall


@dataclass(frozen=True, slots=True)
class Settings:
    """`max_tokens` bounds an answer, `max_crops` a picture (None: as many as the model was trained with); 0 threads:
    one per core. Decoding is greedy."""

    max_tokens: int = 512
    max_crops: int | None = None
    threads: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """One item answered by one bundle. An item that `failed` (says why) has no scores and no answer.

    `load_s` and `peak_rss_bytes` are those of the process that answered, the latter so far.
    """

    bundle: str
    item: Item
    reply: Reply = field(default_factory=lambda: Reply(""))
    scores: dict[str, Score] = field(default_factory=dict)
    finish_reason: str = ""
    usage: dict[str, int] = field(default_factory=dict)
    timing: dict[str, float] = field(default_factory=dict)
    load_s: float = 0.0
    peak_rss_bytes: int = 0
    failed: str = ""


def scored(bundle: str, item: Item, told: dict[str, Any], load_s: float, peak_rss_bytes: int) -> Result:
    """From what the process that answered `told`."""
    if "failed" in told:
        return Result(bundle, item, load_s=load_s, peak_rss_bytes=peak_rss_bytes, failed=told["failed"])
    calls = tuple(ToolCall(**call) for call in told["tool_calls"])
    reply = Reply(told["text"], calls, told["broken_call"])
    finish, usage, timing = told["finish_reason"], told["usage"], told["timing"]
    return Result(bundle, item, reply, score(item, reply), finish, usage, timing, load_s, peak_rss_bytes)
