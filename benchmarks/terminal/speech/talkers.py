"""People who talk about other things: what babble is made of."""

from functools import cache

import numpy as np

from benchmarks.terminal.speech.synthesise import speak, trim
from benchmarks.terminal.speech.voices import draw_voice
from benchmarks.terminal.speech.warp import change_speed

_SMALL_TALK = (
    "did you see the game last night it went on until almost midnight",
    "my sister is moving to the coast next spring with both of her children",
    "they say the weather will change again before the weekend",
    "we should meet for lunch at the place around the corner",
    "the bus was late again this morning so everybody had to walk",
    "somebody left a jacket in the canteen you may want to ask about it",
)
_SEED = 2026


@cache
def talkers(rate: int) -> tuple[np.ndarray, ...]:
    """Speech float32 [N] of twelve voices of the training set at `rate`, the same ones on every call.

    Raises EdgeError like speak().
    """
    rng = np.random.default_rng(_SEED)
    spoken = [speak(text, draw_voice(rng, "train")) for text in _SMALL_TALK * 2]
    return tuple(change_speed(trim(samples), from_rate, 1.0, rate) for samples, from_rate in spoken)
