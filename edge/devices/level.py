"""How loud a microphone is, and whether that is good for speech."""

import math
from typing import Literal

import numpy as np

Verdict = Literal["no signal", "too quiet", "clipping", "good"]

NO_SIGNAL_DBFS = -80.0
"""Peaks of 3 in 32768: below the noise of any open microphone."""

TOO_QUIET_DBFS = -36.0
"""Speech an arm's length away peaks between −25 and −6 dBFS; below −36 noise comes close."""

CLIPPING_DBFS = -0.01
"""Only the last steps before full scale: a converter that limits stays there."""

HOLD_S = 1.0
"""So long a peak is remembered; so long must a run of exact zeros be until it is worth a word."""

SILENCE_DBFS = -120.0
"""What stands for minus infinity."""

_FULL_SCALE = 32768.0


def dbfs(amplitude: float) -> float:
    """Decibels below full scale of an amplitude, 1.0 being full scale."""
    return max(20 * math.log10(amplitude), SILENCE_DBFS) if amplitude > 0 else SILENCE_DBFS


class Level:
    """Of what was recorded last: `peak` and `rms` of the last block, `held` the highest peak of the last second,
    all in dBFS; `zeros_s` seconds since a sample was other than exactly zero."""

    def __init__(self) -> None:
        self.peak = self.rms = self.held = SILENCE_DBFS
        self.zeros_s = 0.0
        self._held_s = 0.0

    def add(self, frames: np.ndarray, rate: int) -> None:
        """`frames` int16 [n, channels] as they were recorded: resampled ones no longer show what was limited."""
        if not frames.size:
            return
        seconds = len(frames) / rate
        highest = max(int(frames.max()), -int(frames.min()))
        flat = frames.reshape(-1).astype(np.float32)
        self.peak = dbfs(highest / _FULL_SCALE)
        self.rms = dbfs(math.sqrt(float(flat @ flat) / flat.size) / _FULL_SCALE)
        self.zeros_s = 0.0 if highest else self.zeros_s + seconds
        self._held_s += seconds
        if self.peak >= self.held or self._held_s > HOLD_S:
            self.held, self._held_s = self.peak, 0.0

    @property
    def only_zeros(self) -> bool:
        """For more than a second: no converter is that quiet."""
        return self.zeros_s > HOLD_S

    @property
    def verdict(self) -> Verdict:
        """Of the last second; "too quiet" is meant for somebody who speaks."""
        if self.only_zeros or self.held < NO_SIGNAL_DBFS:
            return "no signal"
        if self.held >= CLIPPING_DBFS:
            return "clipping"
        return "too quiet" if self.held < TOO_QUIET_DBFS else "good"

    @property
    def advice(self) -> str:
        """What to do about the verdict; empty when it is good."""
        if self.only_zeros:
            return "only zeros: muted or unplugged?"
        return {
            "no signal": "turn the microphone up, or is it muted?",
            "too quiet": "speak, come closer or turn the microphone up",
            "clipping": "turn the microphone down",
            "good": "",
        }[self.verdict]
