"""What the loop tells the person in front of it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from edge.devices.health import Health

if TYPE_CHECKING:
    import numpy as np

    from edge.devices.level import Level
    from edge.events import Done
    from edge.live.outcome import Outcome
    from edge.live.utterances import Utterance

State = Literal["deaf", "listening", "hearing", "thinking", "answering", "asking", "acting", "speaking"]
"""deaf: no microphone, or muted; hearing: somebody speaks; asking: may this call run; acting: it runs; speaking: the
answer is read out."""


@dataclass(frozen=True, slots=True)
class Report:
    """One turn: what was said, as the model heard it; seconds to the first token, after the end of the utterance was
    certain and after the last sound of the voice; how the answer ended."""

    utterance: "Utterance"
    first_token_s: float
    after_voice_s: float
    done: "Done"


class Screen(Protocol):
    """All calls come from one thread and return at once."""

    @property
    def can_ask(self) -> bool:
        """Whether somebody can say yes."""

    def state(self, state: State) -> None: ...
    def level(self, level: "Level") -> None: ...
    def microphone(self, health: Health) -> None: ...
    def camera(self, health: Health) -> None: ...

    def picture(self, rgb: "np.ndarray") -> None:
        """What the next answer is about: uint8 [height, width, 3]."""

    def text(self, text: str) -> None:
        """The answer goes on."""

    def call(self, name: str, arguments: dict[str, Any]) -> None: ...

    def ask(self, line: str) -> None:
        """May this run? The answer is a key."""

    def outcome(self, outcome: "Outcome") -> None: ...
    def note(self, text: str) -> None: ...
    def error(self, error: Exception) -> None: ...

    def turn(self, report: Report) -> None:
        """The answer is complete."""

    def clear(self) -> None:
        """What was shown of an answer is void: it was interrupted."""

    def close(self) -> None: ...
