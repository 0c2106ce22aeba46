"""From windows of sound, each with the probability that somebody speaks, to utterances. There is no clock here:
time is counted in windows."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edge.errors import UsageError

RATE = 16_000
WINDOW = 512
GOES_ON = 5 * RATE // WINDOW
"""Windows from one SpeechGoesOn to the next."""

_SHORTEST_HELD_S = 0.3


@dataclass(frozen=True, slots=True)
class Listening:
    """When speech begins and ends. Times are in seconds, rounded to windows of 32 ms. Raises UsageError."""

    threshold: float = 0.5
    """Probability from which a window counts as the first voice."""
    release: float = 0.2
    """Probability from which a window counts as more voice: the middle of a sentence is easier to believe."""
    certain: float = 0.9
    """Probability of one window from which speech is told of at once; until then it waits for its first pause."""
    shortest_s: float = 0.16
    """Seconds of voice before it counts as speech: a click does nothing, a short word such as "eight" has 0.2."""
    pre_roll_s: float = 0.3
    """Seconds kept from before the first voice: words often begin softly."""
    pause_s: float = 0.2
    """Seconds of silence after which what was said so far is most likely all, and is offered."""
    tail_s: float = 0.2
    """Seconds of silence kept at the end, at most `pause_s`."""
    end_s: float = 0.8
    """Seconds of silence that end an utterance. Of slowly spoken digits 0.7 tears 6 in 100 apart, 0.8 four, 1.0 one."""
    longest_s: float = 120.0
    """Seconds of an utterance at most, with what is kept around it: three windows of Phi's speech encoder."""

    def __post_init__(self) -> None:
        rules = {
            "0 < release <= threshold <= certain < 1": 0 < self.release <= self.threshold <= self.certain < 1,
            "0 <= tail_s <= pause_s <= end_s": 0 <= self.tail_s <= self.pause_s <= self.end_s,
            "pre_roll_s and shortest_s are not negative": min(self.pre_roll_s, self.shortest_s) >= 0,
            "pre_roll_s + shortest_s + end_s < longest_s": (
                self.pre_roll_s + self.shortest_s + self.end_s < self.longest_s < float("inf")
            ),
        }
        for rule, holds in rules.items():
            if not holds:
                raise UsageError(f"These settings break the rule {rule}: {self}.", "change them, or keep the defaults")


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """What was said: `samples` float32 [N] at 16 kHz, read-only.

    The first of them was heard `start_s` seconds after listening began; `cut` says that it became too long and goes on.
    """

    samples: np.ndarray
    start_s: float
    cut: bool = False

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Somebody speaks, or holds the key."""


@dataclass(frozen=True, slots=True, eq=False)
class SpeechGoesOn:
    """Every few seconds: what was said so far, `samples` float32 [N] at 16 kHz. The utterance will begin with it."""

    samples: np.ndarray


@dataclass(frozen=True, slots=True)
class Paused:
    """Most likely this is all. Then SpeechEnded brings the same object; if it is not, Resumed comes first."""

    utterance: Utterance


@dataclass(frozen=True, slots=True)
class Resumed:
    """It was not all: what Paused brought is void."""


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """This is all. Only after `finish` may it come without Paused before it, or when the utterance is cut."""

    utterance: Utterance


@dataclass(frozen=True, slots=True)
class Dismissed:
    """What began was no speech after all: nothing comes of it."""


Event = SpeechStarted | SpeechGoesOn | Paused | Resumed | SpeechEnded | Dismissed

IsVoice = Callable[[np.ndarray, float], bool]
"""(samples float32 [N] at 16 kHz, the highest probability in them) to whether somebody speaks."""


@dataclass(slots=True)
class _Voice:
    """What may become an utterance, in windows."""

    voiced: int = 0
    peak: float = 0.0  # probability
    until: int = 0  # windows kept up to the last voiced one
    started: bool = False
    confirmed: bool = False
    doubted: int = 0  # `until` when it was taken for no voice
    held: bool = False
    before: int = 0  # windows kept when the key was pressed
    told: int = 0  # windows kept when SpeechGoesOn was told
    offered: Utterance | None = None


class Segmenter:
    """Holds `longest_s` of sound at most. Not thread-safe. `is_voice` has the last word, once for each utterance."""

    def __init__(self, listening: Listening, is_voice: IsVoice = lambda samples, peak: True) -> None:
        self._listening, self._is_voice = listening, is_voice
        self._shortest = max(1, _windows(listening.shortest_s))
        self._pause = max(1, _windows(listening.pause_s))
        self._end = max(1, _windows(listening.end_s))
        self._pre_roll, self._tail = _windows(listening.pre_roll_s), _windows(listening.tail_s)
        self._longest = int(listening.longest_s * RATE / WINDOW)
        self._passed = 0  # windows since listening began
        self._kept: list[np.ndarray] = []  # the latest of them
        self._voice = _Voice()

    @property
    def speaking(self) -> bool:
        """From SpeechStarted to SpeechEnded."""
        return self._voice.started

    def push(self, window: np.ndarray, probability: float) -> list[Event]:
        """`window` float32 [512] follows the one before; somebody speaks in it with `probability`."""
        self._passed += 1
        self._kept.append(window.copy())
        events: list[Event] = []
        if not self._voice.held:
            limit = self._listening.release if self._voice.voiced else self._listening.threshold
            events = self._more_voice(probability) if probability >= limit else self._more_silence()
        if len(self._kept) == self._longest:
            events += self._stop(cut=True)
        elif self._voice.started and not self._voice.offered and len(self._kept) >= self._voice.told + GOES_ON:
            self._voice.told = len(self._kept)
            events.append(SpeechGoesOn(self._utterance().samples))
        if not self._voice.started and not self._voice.voiced:
            self._keep_latest(self._pre_roll)
        return events

    def skip(self) -> None:
        """A window passes that nobody may hear."""
        self._passed += 1

    def hold(self) -> list[Event]:
        """Records whatever the probabilities are, until `finish` or `longest_s`. What is being said belongs to it."""
        voice = self._voice
        if voice.started:
            events: list[Event] = [Resumed()] if voice.offered else []
        else:
            events = [SpeechStarted()]
            voice.before = len(self._kept)
        voice.started = voice.held = True
        voice.offered = None
        return events

    def finish(self) -> list[Event]:
        """Ends what is running, at once. A key held for less than 0.3 s was a slip: nothing comes of it."""
        slip = self._voice.held and len(self._kept) - self._voice.before < _windows(_SHORTEST_HELD_S)
        if slip:
            self._voice = _Voice()
        return self._stop()

    def drop(self) -> bool:
        """Forgets all that was heard, for instance because the microphone is gone; whether an utterance was running."""
        was_running = self._voice.started
        self._kept.clear()
        self._voice = _Voice()
        return was_running

    def _more_voice(self, probability: float) -> list[Event]:
        voice = self._voice
        voice.voiced += 1
        voice.peak = max(voice.peak, probability)
        voice.until = len(self._kept)
        if voice.offered:
            voice.offered = None
            return [Resumed()]
        if voice.started or voice.voiced < self._shortest or voice.peak < self._listening.certain:
            return []
        voice.started = True
        return [SpeechStarted()]

    def _more_silence(self) -> list[Event]:
        voice, silence = self._voice, len(self._kept) - self._voice.until
        if not voice.started and voice.voiced < self._shortest:
            if silence >= self._pause:
                self._voice = _Voice()
            return []
        events = self._offer() if silence == self._pause else []
        return events + (self._stop() if silence >= self._end else [])

    def _offer(self) -> list[Event]:
        """If it is not certain yet that it is a voice, more of it may make it so."""
        voice, utterance = self._voice, self._utterance()
        if not self._confirmed(utterance):
            return []
        events: list[Event] = [] if voice.started else [SpeechStarted()]
        voice.started, voice.offered = True, utterance
        return [*events, Paused(utterance)]

    def _confirmed(self, utterance: Utterance) -> bool:
        voice = self._voice
        if not voice.confirmed and voice.doubted != voice.until:
            voice.confirmed = self._is_voice(utterance.samples, voice.peak)
            voice.doubted = voice.until
        return voice.confirmed or voice.held

    def _stop(self, cut: bool = False) -> list[Event]:
        voice = self._voice
        events: list[Event] = []
        if voice.started or (cut and voice.voiced >= self._shortest):
            utterance = voice.offered or self._utterance(cut)
            if self._confirmed(utterance):
                self._keep_latest(len(self._kept) - len(utterance.samples) // WINDOW)
                events = [SpeechEnded(utterance)] if voice.started else [SpeechStarted(), SpeechEnded(utterance)]
            elif voice.started:
                events = [Dismissed()]
        self._voice = _Voice()
        return events

    def _utterance(self, cut: bool = False) -> Utterance:
        voice = self._voice
        samples = np.concatenate(self._kept if voice.held else self._kept[: voice.until + self._tail])
        samples.flags.writeable = False
        return Utterance(samples, (self._passed - len(self._kept)) * WINDOW / RATE, cut)

    def _keep_latest(self, count: int) -> None:
        del self._kept[: max(0, len(self._kept) - count)]


def _windows(seconds: float) -> int:
    return round(seconds * RATE / WINDOW)
