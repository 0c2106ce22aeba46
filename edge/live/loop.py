"""The loop: listen, answer, act, listen. It only reacts to what is handed to it, in one thread, and never waits.

While somebody speaks the model reads all that comes before the recording. In a pause that may be the end it answers
already; the answer is shown, and calls run, only when it was the end.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edge.devices.health import Health
from edge.errors import DeviceError
from edge.events import Done, TextDelta, ToolCall
from edge.live.actions import Action
from edge.live.errands import Errands
from edge.live.mind import Told
from edge.live.outcome import Outcome
from edge.live.screen import Screen, State
from edge.live.sentences import sentences
from edge.live.spoken_turn import SpokenTurn
from edge.live.utterances import (
    WINDOW,
    Dismissed,
    Event,
    Paused,
    Resumed,
    SpeechEnded,
    SpeechGoesOn,
    SpeechStarted,
    Utterance,
)

if TYPE_CHECKING:
    import numpy as np

    from edge.devices.camera import Camera
    from edge.live.ear import Ear
    from edge.live.hands import Hands
    from edge.live.journal import Journal
    from edge.live.mind import Mind
    from edge.live.voice import Voice

ECHO_S = 0.3
"""A room still sounds of a voice after its end."""

ANSWERS = 5
"""To the results of calls, in one turn: a model that calls again and again would never listen any more."""

SHUT: frozenset[State] = frozenset(("asking", "acting", "speaking"))
"""In these nobody is listened to."""


@dataclass(slots=True)
class Parts:
    """What the loop works with; all but `camera`, `voice` and `journal` are needed."""

    ear: "Ear"
    mind: "Mind"
    hands: "Hands"
    screen: Screen
    actions: Mapping[str, Action] = field(default_factory=dict)
    camera: "Camera | None" = None
    voice: "Voice | None" = None
    journal: "Journal | None" = None


class Loop:
    """`remember`: turns that later ones know of. `reply`: the model is told what its calls did, and answers to it.
    `ahead`: computes while somebody speaks; else all of it comes after, with the same answer."""

    def __init__(
        self,
        parts: Parts,
        remember: int = 0,
        reply: bool = False,
        ahead: bool = True,
        silence_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._parts, self._screen = parts, parts.screen
        self._remember, self._reply, self._ahead, self._clock = remember, reply, ahead, clock
        self._silence_s = silence_s
        self._live = False
        self._muted = self._shut = False
        self._turns = 0  # that the conversation holds
        self._faults: set[str] = set()  # of voice and journal, as they were told
        self._since_s = 0.0  # the last moment of the voice
        self._turn: SpokenTurn | None = None
        self._errands = Errands(parts.hands, parts.actions, parts.screen, self._become, self._after_calls, clock)
        self.state: State = "deaf"
        self._screen.state(self.state)

    def sound(self, samples: "np.ndarray") -> None:
        """float32 [N] at 16 kHz from the microphone."""
        for start in range(0, len(samples), WINDOW):  # an event may shut the ear for what comes after it
            for event in self._parts.ear.hear(samples[start : start + WINDOW]):
                self.heard(event)

    def heard(self, event: Event) -> None:
        """Speech during an answer ends the answer: that turn was never asked."""
        turn, mind = self._turn, self._parts.mind
        match event:
            case SpeechStarted():
                if self.state in ("thinking", "answering"):
                    self._give_up("interrupted")
                self._turn = turn = SpokenTurn(self._look())
                self._become("hearing")
                if self._ahead:
                    turn.job = mind.read_ahead(turn.images)
            case SpeechGoesOn(samples) if turn and self._ahead:
                turn.job = mind.read_ahead(turn.images, samples)
            case Paused(utterance) if turn and self._ahead:
                turn.offered, turn.job = utterance, mind.answer(utterance, turn.images)
            case Resumed() if turn:
                turn.offered = None
                turn.held.clear()
                mind.drop_answer()
            case SpeechEnded(utterance) if turn:
                self._end(turn, utterance)
            case Dismissed() if turn:
                self._give_up()

    def told(self, told: Told) -> None:
        """The mind at work."""
        turn = self._turn
        if not turn or told.job != turn.job:
            return
        if turn.utterance:
            self._hear_of(turn, told.what)
        elif turn.offered:
            turn.held.append(told.what)

    def outcome(self, outcome: Outcome) -> None:
        """A call has run."""
        self._errands.outcome(outcome)

    def microphone(self, health: Health) -> None:
        """What was being said when the microphone went is dropped: half a command may be another one."""
        self._screen.microphone(health)
        self._live = health.state == "live"
        if not self._live:
            self._parts.ear.lost()
            if self.state == "hearing":
                self._give_up("the microphone went away while you spoke: say it again")
        if self.state in ("deaf", "listening"):
            self._rest()

    def camera(self, health: Health) -> None:
        self._screen.camera(health)

    def key(self, key: str) -> None:
        """y, n: may the call run; space: the button of push-to-talk; m: mute; escape: stop."""
        if self._errands.asking:
            if key in ("y", "n", "escape"):
                self._errands.confirm(key == "y")
        elif key == "escape":
            self._stop()
        elif key == "m":
            self._muted = not self._muted
            if self.state == "hearing":
                self._give_up("muted")
            elif self.state in ("deaf", "listening"):
                self._rest()
            self._attend()
        elif key == "space" and self._live:
            self._press()

    def _stop(self) -> None:
        if self._parts.voice:
            self._parts.voice.stop()
        if self.state == "acting":
            self._errands.stop()
        elif self.state in ("hearing", "thinking", "answering"):
            self._parts.ear.lost()
            self._give_up("stopped")

    def _press(self) -> None:
        ear = self._parts.ear
        events = ear.finish() if ear.speaking else ear.hold()
        for event in events:
            self.heard(event)
        if not events and self.state == "hearing":
            self._give_up("that was too short: press the space bar, speak, press it again")

    def tick(self) -> None:
        """Several times a second, for what ends by itself."""
        self._errands.tick()
        voice, now = self._parts.voice, self._clock()
        for part in (voice, self._parts.journal):
            if part and part.fault and part.fault not in self._faults:
                self._faults.add(part.fault)
                self._screen.note(part.fault)
        if voice and voice.speaking:
            self._since_s = now
        elif self.state == "speaking" and now - self._since_s > ECHO_S:
            self._rest()

    def _look(self) -> "list[np.ndarray]":
        """The camera's picture; without a good one the question is answered without."""
        if not self._parts.camera:
            return []
        try:
            frame = self._parts.camera.latest()
        except DeviceError as error:
            self._screen.error(error)
            return []
        self._screen.picture(frame.rgb)
        return [frame.rgb]

    def _end(self, turn: SpokenTurn, utterance: Utterance) -> None:
        turn.utterance, turn.ended_s = utterance, self._clock()
        self._become("thinking")
        if utterance.cut:
            self._screen.note(f"that was longer than {utterance.seconds:.0f} s: only the beginning is answered")
        held, turn.held = turn.held, []
        if turn.offered is not utterance:
            turn.job, held = self._parts.mind.answer(utterance, turn.images), []
        for what in held:
            self._hear_of(turn, what)

    def _hear_of(self, turn: SpokenTurn, what: Any) -> None:
        match what:
            case TextDelta(text):
                turn.first_s = self._clock() if turn.first_s is None else turn.first_s
                turn.text += text
                self._become("answering")
                self._screen.text(text)
                self._say(turn, last=False)
            case ToolCall(name, arguments):
                turn.first_s = self._clock() if turn.first_s is None else turn.first_s
                turn.calls.append(what)
                self._screen.call(name, arguments)
            case Done():
                self._parts.mind.keep()
                self._turns += not turn.kept
                if self._parts.journal and turn.utterance and not turn.kept:
                    self._parts.journal.keep(turn.utterance, turn.images, turn.text, turn.calls)
                turn.kept = True
                self._say(turn, last=True)
                self._screen.turn(turn.report(what, self._clock(), self._silence_s))
                self._errands.begin(turn.calls)
            case Exception():
                self._turns = self._remember + 1  # what was said before may be the reason
                self._give_up()
                self._screen.error(what)

    def _say(self, turn: SpokenTurn, last: bool) -> None:
        """Sentence by sentence; the microphone does not listen to it."""
        if not self._parts.voice:
            return
        complete = list(sentences([turn.text]))
        for sentence in complete[turn.said : None if last else -1]:
            self._parts.voice.say(sentence)
            turn.said += 1
        self._attend()

    def _after_calls(self, results: Sequence[str]) -> None:
        turn = self._turn
        if turn and results and self._reply and turn.replies < ANSWERS:
            turn.reply(self._parts.mind.answer_results(results), self._clock())
            self._become("thinking")
        else:
            self._finish()

    def _finish(self) -> None:
        spoke = self._speaks()
        self._leave_turn()
        if spoke:
            self._since_s = self._clock()
            self._become("speaking")
        else:
            self._rest()

    def _give_up(self, why: str = "") -> None:
        self._parts.mind.drop()
        if self._parts.voice:
            self._parts.voice.stop()
        self._screen.clear()
        if why:
            self._screen.note(why)
        self._leave_turn()
        self._rest()

    def _leave_turn(self) -> None:
        self._turn = None
        if self._turns > self._remember:
            self._turns = 0
            self._parts.mind.forget()

    def _rest(self) -> None:
        self._become("listening" if self._live and not self._muted else "deaf")

    def _become(self, state: State) -> None:
        if state != self.state:
            self.state = state
            self._screen.state(state)
        self._attend()

    def _attend(self) -> None:
        """Shuts or opens the ear. It forgets what it heard then, so only where something changes."""
        shut = self._muted or self.state in SHUT or self._speaks()
        if shut != self._shut:
            self._shut = shut
            self._parts.ear.mute(shut)

    def _speaks(self) -> bool:
        """Whether something of this answer was read out, or of another one still is."""
        voice, turn = self._parts.voice, self._turn
        return bool(voice and voice.speaking) or bool(turn and turn.said)
