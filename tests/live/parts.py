"""What the loop works with, played by objects that write down what they are told."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from edge.devices.frame import Frame
from edge.devices.health import Health
from edge.devices.level import Level
from edge.errors import DeviceError
from edge.events import Done, TextDelta, ToolCall
from edge.live.actions import Action
from edge.live.loop import Loop, Parts
from edge.live.mind import Told
from edge.live.outcome import Outcome, succeeded
from edge.live.screen import Report, State
from edge.live.utterances import Event, Paused, SpeechEnded, SpeechStarted, Utterance

LIVE, GONE = Health("live", "desk"), Health("absent", "desk", "it was unplugged", "plug it in")
PICTURE = np.zeros((2, 3, 3), np.uint8)


class RecordingScreen:
    """`log` holds (what, value) of everything but levels, in order."""

    def __init__(self, can_ask: bool = True) -> None:
        self.can_ask = can_ask
        self.log: list[tuple[str, Any]] = []

    def all(self, what: str) -> list[Any]:
        return [value for name, value in self.log if name == what]

    def state(self, state: State) -> None:
        self.log.append(("state", state))

    def level(self, level: Level) -> None: ...

    def microphone(self, health: Health) -> None:
        self.log.append(("microphone", health))

    def camera(self, health: Health) -> None:
        self.log.append(("camera", health))

    def picture(self, rgb: np.ndarray) -> None:
        self.log.append(("picture", rgb))

    def text(self, text: str) -> None:
        self.log.append(("text", text))

    def call(self, name: str, arguments: dict[str, Any]) -> None:
        self.log.append(("call", name))

    def ask(self, line: str) -> None:
        self.log.append(("ask", line))

    def outcome(self, outcome: Outcome) -> None:
        self.log.append(("outcome", outcome.text))

    def note(self, text: str) -> None:
        self.log.append(("note", text))

    def error(self, error: Exception) -> None:
        self.log.append(("error", error))

    def turn(self, report: Report) -> None:
        self.log.append(("turn", report))

    def clear(self) -> None:
        self.log.append(("clear", None))

    def close(self) -> None: ...


class RecordingMind:
    """`log` holds what was asked of it; `job` is the number of the latest one."""

    def __init__(self) -> None:
        self.job = 0
        self.log: list[tuple[Any, ...]] = []

    def read_ahead(self, images: Sequence[np.ndarray], heard: np.ndarray | None = None) -> int:
        return self._new("read ahead", len(images)) if heard is None else self._new("heard", len(heard))

    def answer(self, utterance: Utterance, images: Sequence[np.ndarray]) -> int:
        return self._new("answer", utterance)

    def answer_results(self, results: Sequence[str]) -> int:
        return self._new("answer results", list(results))

    def keep(self) -> None:
        self.log.append(("keep",))

    def forget(self) -> None:
        self.log.append(("forget",))

    def drop(self) -> None:
        self.log.append(("drop",))

    def drop_answer(self) -> None:
        self.log.append(("drop answer",))

    @property
    def answered(self) -> list[Utterance]:
        """All that it was asked to answer."""
        return [entry[1] for entry in self.log if entry[0] == "answer"]

    def _new(self, *what: Any) -> int:
        self.log.append(what)
        self.job += 1
        return self.job


class RecordingHands:
    def __init__(self) -> None:
        self.ran: list[dict[str, Any]] = []
        self.stopped = 0

    def run(self, action: Action | None, arguments: Mapping[str, Any]) -> None:
        self.ran.append(dict(arguments))

    def stop(self) -> None:
        self.stopped += 1


class ScriptedEar:
    """`speaking` and `press`, what the button brings, are set by the test."""

    def __init__(self) -> None:
        self.speaking = self.muted = False
        self.press: list[Event] = []
        self.heard: list[int] = []

    def hear(self, samples: np.ndarray) -> list[Event]:
        self.heard.append(len(samples))
        return self.press if not self.muted else []

    def hold(self) -> list[Event]:
        return self.press

    def finish(self) -> list[Event]:
        return self.press

    def mute(self, muted: bool) -> bool:
        self.muted = muted
        return self.lost()

    def lost(self) -> bool:
        was, self.speaking = self.speaking, False
        return was


class RecordingVoice:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.speaking = False
        self.fault = ""

    def say(self, text: str) -> None:
        self.said.append(text)
        self.speaking = True

    def stop(self) -> None:
        self.speaking = False


class RecordingJournal:
    def __init__(self) -> None:
        self.kept: list[tuple[Any, ...]] = []
        self.fault = ""

    def keep(self, *turn: Any) -> None:
        self.kept.append(turn)


class StillCamera:
    def __init__(self, fault: str = "") -> None:
        self.fault = fault

    def latest(self) -> Frame:
        if self.fault:
            raise DeviceError(self.fault, "take the cover off")
        return Frame(PICTURE, 0.0, 1)


class Scene:
    """A loop with a live microphone, in front of which somebody stands."""

    def __init__(
        self,
        actions: Mapping[str, Action] | None = None,
        *,
        can_ask: bool = True,
        camera: StillCamera | None = None,
        voice: RecordingVoice | None = None,
        journal: RecordingJournal | None = None,
        **options: Any,
    ) -> None:
        self.now_s = 1000.0
        self.ear, self.mind, self.hands = ScriptedEar(), RecordingMind(), RecordingHands()
        self.screen, self.camera, self.voice = RecordingScreen(can_ask), camera, voice
        parts = Parts(
            *cast(Any, (self.ear, self.mind, self.hands)),
            self.screen,
            actions or {},
            *cast(Any, (camera, voice, journal)),
        )
        self.loop = Loop(parts, clock=lambda: self.now_s, **options)
        self.loop.microphone(LIVE)

    @property
    def state(self) -> State:
        return self.loop.state

    def begin(self) -> Utterance:
        """Somebody begins to speak; what will have been said."""
        self.ear.speaking = True
        self.loop.heard(SpeechStarted())
        return utterance()

    def pause(self) -> Utterance:
        said = self.begin()
        self.loop.heard(Paused(said))
        return said

    def end(self, said: Utterance) -> None:
        self.ear.speaking = False
        self.loop.heard(SpeechEnded(said))

    def ask(self) -> Utterance:
        """From the first word to the end."""
        said = self.pause()
        self.end(said)
        return said

    def tell(self, *events: Any) -> None:
        """The mind tells of its latest job."""
        for event in events:
            self.loop.told(Told(self.mind.job, event))

    def answer(self, *events: TextDelta | ToolCall) -> None:
        """The latest job, to its end."""
        text = "".join(event.text for event in events if isinstance(event, TextDelta))
        calls = tuple(event for event in events if isinstance(event, ToolCall))
        self.tell(*events, Done(text, "tool_calls" if calls else "stop", "speech", calls), None)

    def confirm(self) -> None:
        """The person has read the question, and says yes."""
        self.wait(1.0)
        self.loop.key("y")

    def ran(self, output: str = "") -> None:
        """The call that runs has ended."""
        self.loop.outcome(succeeded(output))

    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self.loop.tick()


def utterance(seconds: float = 1.0, cut: bool = False) -> Utterance:
    return Utterance(np.zeros(int(16000 * seconds), np.float32), 0.0, cut)
