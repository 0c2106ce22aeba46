"""How a device is."""

from dataclasses import dataclass
from typing import Literal

State = Literal["absent", "opening", "live", "stalled"]


@dataclass(frozen=True, slots=True)
class Health:
    """`device` is its name, as far as it is known; `reason` one sentence why it is not live, and `hint` what to do."""

    state: State
    device: str = ""
    reason: str = ""
    hint: str = ""
