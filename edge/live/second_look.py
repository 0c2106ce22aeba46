"""Was that a voice? Looked at again as a whole, before the model is asked: noises that pass for a moment fail here.

Of 6,060 clips of noise, music, alarms and silence that these numbers were chosen with two pass, and of 400 noisy
commands three are lost (`benchmarks.live.noise` draws others). People talking in the background are voices.
"""

import numpy as np

from edge.live.voice_activity import RATE, WINDOW, VoiceActivity

LONGEST_S = 4.0
"""Of what was heard, this much is looked at: longer than any noise that comes and goes."""

_CLEAR, _CLEAR_AGAIN = 0.9, 0.85
"""Probabilities of the best window while it was heard, and of the best five (0.16 s) after a silence."""
_CLEAR_AFTER_SILENCE = 0.92
"""Of the same five, enough alone."""
_CUTS = (0, 171, 341)
"""Samples of silence before it: how clear a word is also hangs on where windows cut it. One clear hearing is enough."""
_CLEAR_WHEN_LOUD = 0.92
"""Of the best eight windows (0.26 s) when made as loud as _LOUD: a soft voice is clear then, noise is not."""
_EVIDENCE = 2.55
"""Of 3: the best window while it was heard, the best eight after a silence, and the best eight when loud."""
_LOUD = 0.2  # RMS of loud speech
_TONE = 0.985
"""Likeness, 0 to 1, from which a sound repeats itself as voices rarely do: alarms have 0.99, as one in 100 voices."""
_CLEAR_FOR_A_TONE = 0.9
"""Probability that such a voice has at most cuts, both after a silence and when loud; alarms have it not when loud."""
_FRAME, _HOP, _LOWEST_BIN, _APART = 1024, 256, 6, 4


class SecondLook:
    """Not thread-safe. Takes about 0.2 ms for each 32 ms that were heard of a voice, and 0.6 ms of a noise."""

    def __init__(self) -> None:
        """Raises DeviceError when the voice detector is missing."""
        self._voice_activity = VoiceActivity()

    def is_voice(self, samples: np.ndarray, peak: float) -> bool:
        """`samples` float32 [N] at 16 kHz, full scale ±1; `peak`: the highest probability while they were heard."""
        heard = samples[: round(LONGEST_S * RATE)]
        if len(heard) < WINDOW:
            return False
        heard = heard - heard.mean()
        cuts = [np.pad(heard, (cut, 0)) for cut in _CUTS]
        if likeness(heard) >= _TONE:
            return bool(np.median([self._least(cut) for cut in cuts]) >= _CLEAR_FOR_A_TONE)
        return any(self._clear(cut, peak) for cut in cuts)

    def _clear(self, heard: np.ndarray, peak: float) -> bool:
        after_silence = self._after_silence(heard)
        again = after_silence[:5].mean()
        if again >= _CLEAR_AFTER_SILENCE or (peak >= _CLEAR and again >= _CLEAR_AGAIN):
            return True
        loud = self._when_loud(heard).mean()
        return bool(loud >= _CLEAR_WHEN_LOUD or peak + after_silence.mean() + loud >= _EVIDENCE)

    def _least(self, heard: np.ndarray) -> float:
        return float(min(self._after_silence(heard)[:5].mean(), self._when_loud(heard).mean()))

    def _after_silence(self, heard: np.ndarray) -> np.ndarray:
        return self._best(np.pad(heard, (RATE, 0)))

    def _when_loud(self, heard: np.ndarray) -> np.ndarray:
        return self._best(np.clip(heard * (_LOUD / _level(heard)), -1.0, 1.0))

    def _best(self, samples: np.ndarray) -> np.ndarray:
        """The eight highest probabilities, from a network that knows nothing of what was before."""
        self._voice_activity.reset()
        windows = samples[: len(samples) // WINDOW * WINDOW].reshape(-1, WINDOW)
        found = [self._voice_activity.probability(window) for window in windows]
        return np.sort([*found, *[0.0] * 8])[:-9:-1]


def likeness(samples: np.ndarray) -> float:
    """How exactly the loud moments of a sound, float32 [N], occur in it again: 0 to 1.

    Of each frame's magnitude spectrum the cosine with the most similar one that is not its neighbour, and of these the
    lower quartile. An alarm of one or two tones has nearly 1; the pitch of a voice never stands that still.
    """
    if len(samples) < _FRAME:
        return 0.0
    frames = np.lib.stride_tricks.sliding_window_view(samples, _FRAME)[::_HOP] * np.hanning(_FRAME).astype(np.float32)
    spectra = np.abs(np.fft.rfft(frames))[:, _LOWEST_BIN:]
    power = np.square(spectra).sum(axis=1)
    loud = power > 0.05 * power.max()
    shapes = spectra[loud] / np.sqrt(power[loud, None])
    number = np.arange(len(shapes))
    apart = np.abs(number[:, None] - number) >= _APART
    alike = np.where(apart, shapes @ shapes.T, 0.0)
    return float(np.percentile(alike.max(axis=1), 25)) if len(shapes) else 0.0


def _level(samples: np.ndarray) -> float:
    """RMS of the louder windows."""
    windows = samples[: len(samples) // WINDOW * WINDOW].reshape(-1, WINDOW)
    return max(float(np.percentile(np.sqrt(np.square(windows).mean(axis=1)), 90)), 1e-6)
