"""What is being said, and what came of it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edge.events import Done, ToolCall
from edge.live.screen import Report
from edge.live.utterances import Utterance

if TYPE_CHECKING:
    import numpy as np


@dataclass(slots=True)
class SpokenTurn:
    """`job` is the latest one of the mind; `kept`: the conversation knows of it; `replies` were made to the results of
    its calls."""

    images: "list[np.ndarray]"
    job: int = 0
    offered: Utterance | None = None
    held: list[Any] = field(default_factory=list)
    """What was told about `offered`, while it may not be all."""
    utterance: Utterance | None = None
    ended_s: float = 0.0
    first_s: float | None = None
    text: str = ""
    said: int = 0
    """Sentences of `text` that were read out."""
    calls: list[ToolCall] = field(default_factory=list)
    kept: bool = False
    replies: int = 0

    def reply(self, job: int, now_s: float) -> None:
        """Another answer begins, to the results of the calls."""
        self.job, self.ended_s, self.first_s = job, now_s, None
        self.text, self.said, self.calls = "", 0, []
        self.replies += 1

    def report(self, done: Done, now_s: float, silence_s: float) -> Report:
        """`silence_s` passed between the last sound of the voice and the end of the utterance, if it was not cut."""
        assert self.utterance
        silence_s = 0.0 if self.utterance.cut else silence_s
        waited = max(0.0, (now_s if self.first_s is None else self.first_s) - self.ended_s)
        return Report(self.utterance, waited, waited + silence_s, done)
