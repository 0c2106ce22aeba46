"""Accents that nobody has: some vowels and consonants said like their neighbours, as people from elsewhere do.

espeak-ng has few accents of English, and what learns them alone reads others five times as badly.
"""

import subprocess
from collections.abc import Mapping

import numpy as np

NEIGHBOURS = {
    **{"aI": ("OI", "A:"), "eI": ("aI", "E"), "oU": ("aU", "O:"), "i:": ("I",), "I": ("i:", "E"), "V": ("U", "a")},
    **{"E": ("I", "a", "eI"), "a": ("E", "A:"), "u:": ("U",), "0": ("O:", "a"), "3:": ("E", "@")},
    **{"T": ("t", "s", "f"), "D": ("d", "z"), "w": ("v",), "v": ("w", "f"), "z": ("s",)},
}
"""espeak-ng's names of sounds, and what they are taken for."""
_STRESS = "',"
_SHIFTED = 0.15


def draw_accent(rng: np.random.Generator) -> dict[str, str]:
    """The sounds that are shifted, and where to."""
    return {sound: str(rng.choice(to)) for sound, to in NEIGHBOURS.items() if rng.random() < _SHIFTED}


def shifted(sounds: str, accent: Mapping[str, str]) -> str:
    """What espeak-ng -x --sep=_ tells, in that accent, as espeak-ng reads it."""
    words = [[_shift(sound, accent) for sound in word.split("_")] for word in sounds.split()]
    return f"[[{' '.join(''.join(word) for word in words)}]]"


def _shift(sound: str, accent: Mapping[str, str]) -> str:
    plain = sound.lstrip(_STRESS)
    return sound[: len(sound) - len(plain)] + accent.get(plain, plain)


def pronounce(text: str, name: str) -> str:
    """`text` as sounds, those of a word joined by _, by the voice of that name. Raises FileNotFoundError."""
    command = ["espeak-ng", "-q", "-x", "--sep=_", "-v", name, text]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True)
    return done.stdout.strip()
