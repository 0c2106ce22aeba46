"""Where sound can be recorded from."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Source:
    """`name` stays the same over time and `description` is for people; a `monitor` records what a loudspeaker plays;
    `rate` in Hz and `channels` are its own, others are converted."""

    name: str
    description: str
    kind: Literal["sound server", "direct"]
    rate: int
    channels: int
    monitor: bool
    default: bool
