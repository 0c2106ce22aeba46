"""Who speaks: the espeak-ng and flite voices of the training set, and those that only the held-out set may use."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmarks.terminal.speech.accents import draw_accent

Engine = Literal["espeak", "flite"]
Split = Literal["train", "held_out"]

FLITE_SHARE = 0.25  # flite's voices are made from recordings of people, espeak's from rules: people are what counts

ACCENTED = 0.4
"""Share of espeak's voices in training that speak with an accent of their own (accents.py)."""

ACCENTS: dict[Split, tuple[str, ...]] = {
    "train": ("en-us", "en-us", "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbclan", "en-029"),
    "held_out": ("en-us-nyc", "en-gb-x-gbcwmd"),
}

# Families stay together (steph, steph2 …): a sibling in training would make a held-out voice a seen one. Left out, as
# next to nothing in them is voiced: whisper, whisperf, croak, Demonic, announcer, robosoft. klatt6 and caleb are klatt.
_HELD_OUT_VARIANTS = """Andy AnxiousAndy Hugo anika anikaRobot antonio f4 grandma iven iven2 iven3 iven4 m6 quincy
steph steph2 steph3"""
_TRAIN_VARIANTS = """Alex Alicia Andrea Annie Denis Diogo Gene Gene2 Henrique Jacky Lee Marco Mario Michael Mike
Mr_serious Nguyen RicishayMax RicishayMax2 RicishayMax3 Storm Tweaky UniRobot adam aunty belinda benjamin boris david ed
edward edward2 f1 f2 f3 f5 fast grandpa gustave john kaukovalta klatt klatt2 klatt3 klatt4 klatt5 linda m1 m2 m3 m4 m5
m7 m8 marcelo max michel miguel norbert pablo paul pedro rob robert robosoft2 robosoft3 robosoft4 robosoft5 robosoft6
robosoft7 robosoft8 sandro shelby travis victor zac"""
VARIANTS: dict[Split, tuple[str, ...]] = {
    "train": tuple(name.replace("_", " ") for name in _TRAIN_VARIANTS.split()),
    "held_out": tuple(_HELD_OUT_VARIANTS.split()),
}

FLITE_VOICES: dict[Split, tuple[str, ...]] = {
    "train": ("awb", "slt", "awb", "slt", "kal16", "kal"),
    "held_out": ("rms",),
}
# Hz; rms takes no other pitch than its own (107 Hz)
_FLITE_PITCH = {"awb": (85, 200), "slt": (120, 270), "kal16": (75, 180), "kal": (75, 180), "rms": (107, 107)}


@dataclass(frozen=True, slots=True)
class Voice:
    """One way to speak. `pitch` is 0 to 99 for espeak and Hz for flite; `pitch_range` is per cent of espeak's own
    intonation, and for flite the standard deviation in Hz; `speed` is words a minute; `amplitude` (0 to 200) and
    `word_gap` (10 ms) exist for espeak only, as does an `accent`: sounds and what is said in their place."""

    engine: Engine
    name: str
    variant: str
    pitch: int
    pitch_range: int
    speed: int
    amplitude: int = 100
    word_gap: int = 0
    accent: tuple[tuple[str, str], ...] = ()


def draw_voice(rng: np.random.Generator, split: Split) -> Voice:
    """A voice of that split; no accent, variant or flite voice belongs to both."""
    if rng.random() < FLITE_SHARE:
        name = _pick(rng, FLITE_VOICES[split])
        low, high = _FLITE_PITCH[name]
        return Voice(
            "flite",
            name,
            variant="",
            pitch=int(rng.integers(low, high + 1)),
            pitch_range=int(rng.integers(4, 36)),
            speed=int(rng.triangular(110, 165, 251)),
        )
    return Voice(
        "espeak",
        _pick(rng, ACCENTS[split]),
        _pick(rng, VARIANTS[split]),
        pitch=int(rng.triangular(5, 45, 96)),
        pitch_range=int(rng.integers(20, 201)),
        speed=int(rng.triangular(90, 165, 261)),
        amplitude=int(rng.integers(50, 111)),
        word_gap=int(rng.choice([0, 0, 0, 1, 2, 5, 10])),
        accent=tuple(draw_accent(rng).items()) if split == "train" and rng.random() < ACCENTED else (),
    )


def _pick(rng: np.random.Generator, names: tuple[str, ...]) -> str:
    return names[int(rng.integers(len(names)))]
