"""A microphone's samples, in reads of any length, become utterances."""

import numpy as np

from edge.live.gain import Gain
from edge.live.second_look import SecondLook
from edge.live.utterances import Event, Listening, Segmenter, SpeechEnded
from edge.live.voice_activity import WINDOW, VoiceActivity


class Ear:
    """Not thread-safe. With `push_to_talk` nothing is heard but what is said while the key is held."""

    def __init__(self, listening: Listening | None = None, push_to_talk: bool = False) -> None:
        """Raises DeviceError when the voice detector, which `push_to_talk` does without, is missing."""
        listening = listening or Listening()
        self._voice_activity = None if push_to_talk else VoiceActivity()
        self._gain = Gain()
        self._segmenter = Segmenter(listening) if push_to_talk else Segmenter(listening, SecondLook().is_voice)
        self._window = np.zeros(WINDOW, np.float32)
        self._filled = 0  # samples of the window that the next read completes
        self._muted = False

    @property
    def speaking(self) -> bool:
        """From SpeechStarted to SpeechEnded."""
        return self._segmenter.speaking

    def hear(self, samples: np.ndarray) -> list[Event]:
        """`samples` float32 [N] at 16 kHz, full scale ±1, follow those of the last call."""
        events: list[Event] = []
        while len(samples):
            taken = samples[: WINDOW - self._filled]
            self._window[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            samples = samples[len(taken) :]
            if self._filled == WINDOW:
                events += self._complete()
        return events

    def hold(self) -> list[Event]:
        """The key is pressed: records from now, and a moment before, whatever it is."""
        return [] if self._muted else self._segmenter.hold()

    def finish(self) -> list[Event]:
        """The key is released: ends what is running, at once."""
        return self._segmenter.finish()

    def mute(self, muted: bool) -> bool:
        """While muted nothing is heard, such as the terminal's own voice; whether an utterance was lost by it."""
        if muted == self._muted:
            return False
        self._muted = muted
        self._window[: self._filled] = 0.0
        if self._voice_activity:
            self._voice_activity.gap()
        return self._segmenter.drop()

    def lost(self) -> bool:
        """The microphone is gone, and what comes next is another recording; whether an utterance was lost by it."""
        self._filled, self._gain = 0, Gain()
        if self._voice_activity:
            self._voice_activity.reset()
        return self._segmenter.drop()

    def _complete(self) -> list[Event]:
        self._filled = 0
        if self._muted:
            self._segmenter.skip()
            return []
        # what a broken driver delivers must not stay in the network's state for good
        np.nan_to_num(self._window, copy=False).clip(-1.0, 1.0, out=self._window)
        louder = self._gain.louder(self._window)
        probability = self._voice_activity.probability(louder) if self._voice_activity else 0.0
        events = self._segmenter.push(self._window, probability)
        if self._voice_activity and any(isinstance(event, SpeechEnded) for event in events):
            self._voice_activity.settle()
        return events
