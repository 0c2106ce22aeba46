"""What a bundle is asked: turns with words, recordings and pictures of known sizes."""

from dataclasses import dataclass

RATE = 16_000


@dataclass(frozen=True, slots=True)
class Turn:
    """A prompt of `tokens` tokens, chat markers included but media not, beside `seconds` of speech and a picture of
    `side` × `side` pixels; 0 for none."""

    tokens: int = 32
    seconds: float = 0
    side: int = 0

    @property
    def media(self) -> bool:
        return bool(self.seconds or self.side)


@dataclass(frozen=True, slots=True)
class Case:
    """`turns` are asked one after the other, each in a new conversation of one process. The first of them is then
    asked once more with other content, when nothing has to be opened any longer."""

    name: str
    title: str
    turns: tuple[Turn, ...]
    twin: str = ""
    """The text case of about as many tokens, whose decode rate this one's is held against."""


CASES = (
    Case("text-256", "text, 256 tokens", (Turn(256),)),
    Case("text-600", "text, 600 tokens", (Turn(600),)),
    Case("speech-10", "10 s of speech", (Turn(seconds=10),), "text-256"),
    Case("speech-30", "30 s of speech", (Turn(seconds=30),), "text-256"),
    Case("picture-448", "picture, 448 × 448", (Turn(side=448),), "text-600"),
    Case("picture-1344", "picture, 1344 × 1344", (Turn(side=1344),)),
    Case("both", "picture, 448 × 448, and 10 s of speech", (Turn(seconds=10, side=448),), "text-600"),
    Case(
        "all-modes",
        "all four modes in one process",
        (Turn(256), Turn(seconds=10), Turn(side=448), Turn(seconds=10, side=448)),
    ),
)
TEXT_ONLY = tuple(case.name for case in CASES if not any(turn.media for turn in case.turns))
ALONE = ("text-256", "speech-10", "picture-448", "both")
"""The turns of "all-modes", each in a process of its own."""


def case_named(name: str) -> Case:
    return next(case for case in CASES if case.name == name)
