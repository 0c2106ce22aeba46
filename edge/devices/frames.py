"""Is a picture one that a working camera would take? Not when it is black, of one colour, or stands still."""

from dataclasses import dataclass

import numpy as np

DARK = 24
"""Grey level: decoders make 16 of the black of television, and noise adds a little."""

BRIGHT_SHARE = 0.01
"""Of a black picture no more than this is brighter: a lamp in the night is a picture."""

EVEN = 1.0
"""Grey levels of deviation in each colour: a white wall has more, from its noise and from the lens."""

MOVES = 0.02
"""Grey levels of change on average. A sensor's noise makes 0.4 and more, even after strong JPEG compression."""

FROZEN_S = 1.5
"""So long without change is no camera; with the pause between two pictures it is noticed within two seconds."""

_ROWS, _COLUMNS = 48, 64


@dataclass(frozen=True, slots=True)
class Fault:
    """`reason` continues a sentence that begins with the camera's name."""

    reason: str
    hint: str


BLACK = Fault("shows only black", "take the cover off the lens, or switch on a light")
ONE_COLOUR = Fault("shows one single colour", "unplug it and plug it in again; look at its cable and at the lens")
FROZEN = Fault("has stopped moving: the picture is the same again and again", "unplug it and plug it in again")


def thin_out(rgb: np.ndarray) -> np.ndarray:
    """uint8 [48, 64, 3] from [height, width, 3]: single pixels, because averages would hide the noise."""
    rows = np.linspace(0, len(rgb) - 1, _ROWS).astype(int)
    columns = np.linspace(0, rgb.shape[1] - 1, _COLUMNS).astype(int)
    return rgb[rows[:, None], columns]


def fault_of(thin: np.ndarray) -> Fault | None:
    """What is wrong with one picture, from its `thin_out`."""
    if (thin.max(axis=2) > DARK).mean() <= BRIGHT_SHARE:
        return BLACK
    if thin.reshape(-1, 3).std(axis=0).max() < EVEN:
        return ONE_COLOUR
    return None


class Stillness:
    """For how long the pictures have been the same.

    Each is compared with the first of them, so that slow change counts.
    """

    def __init__(self) -> None:
        self._first: np.ndarray | None = None
        self._since_s = 0.0

    def add(self, thin: np.ndarray, taken_s: float) -> float:
        """Seconds without change up to now, for the `thin_out` of a picture and the time when it was taken."""
        if self._first is None or abs(thin.astype(np.int16) - self._first).mean() >= MOVES:
            self._first, self._since_s = thin.astype(np.int16), taken_s
        return taken_s - self._since_s
