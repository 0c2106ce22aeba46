"""python -m benchmarks.live.hour: thousands of turns as fast as they go, with interruptions, losses and errors.

Real ear, mind and calls, without devices: sound is fed as fast as it is taken. Told is what memory, threads and
descriptors do.
"""

import queue
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import typer

import edge
from benchmarks.live.commands import Recorder, draw
from benchmarks.live.idle import threads
from edge.conversation import Conversation
from edge.devices.health import Health
from edge.doctor import machine_facts
from edge.errors import ResourceError
from edge.events import Event
from edge.live.actions import load_actions
from edge.live.ear import Ear
from edge.live.hands import Hands
from edge.live.loop import Loop, Parts
from edge.live.mind import Mind
from edge.media.audio_file import read_audio
from edge.turn_options import TurnOptions

LIVE, GONE = Health("live", "fed"), Health("absent", "fed", "pulled out")
TOOLS = """[{"name": "stop", "description": "Stop a machine.", "parameters": {"machine": {"type": "str"}, "number":
{"type": "int"}}, "run": {"command": ["true", "{machine}", "{number}"], "safe": true}}]"""
WARM_UP = 0.2
STEP = 1_600
KINDS = {"answered": 0.65, "interrupted": 0.1, "lost": 0.08, "stopped": 0.07, "noise": 0.05, "failed": 0.05}


class Stumbling(Conversation):
    """The real one, but where `stumbles` says so the memory runs out after the first events of an answer."""

    stumbles = False

    def generate(self, *arguments: Any, **media: Any) -> Iterator[Event]:
        for count, event in enumerate(super().generate(*arguments, **media)):
            if Stumbling.stumbles and count == 2:
                raise ResourceError("no memory is left", "a smaller bundle")
            yield event


class Life:
    """A loop and the queue that all its parts tell into, as `edge listen` has them."""

    def __init__(self, tools: Path) -> None:
        self._events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        model = edge.load(mode="speech")
        conversation = Stumbling(model, tools=edge.load_tools(tools))
        self.screen = Recorder()
        self.mind = Mind(conversation, TurnOptions(max_tokens=64), "", lambda told: self._later("told", told))
        self.hands = Hands(lambda outcome: self._later("outcome", outcome))
        parts = Parts(Ear(), self.mind, self.hands, self.screen, load_actions(tools))
        self.loop = Loop(parts, remember=2, reply=True)
        self.loop.microphone(LIVE)

    def _later(self, name: str, value: Any) -> None:
        self._events.put(partial(getattr(self.loop, name), value))

    def feed(self, samples: np.ndarray) -> None:
        for start in range(0, len(samples), STEP):
            self.loop.sound(samples[start : start + STEP])
            while not self._events.empty():
                self._events.get()()

    def settle(self) -> None:
        while self.loop.state != "listening":
            self._events.get()()

    def turn(self, rng: np.random.Generator, speech: np.ndarray) -> str:
        """One turn of some kind, to its end; its kind."""
        kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
        Stumbling.stumbles = kind == "failed"
        quiet = rng.normal(0, 1e-4, 16_000).astype(np.float32)
        if kind == "noise":
            self.feed(rng.normal(0, 0.05, 16_000).astype(np.float32))
        elif kind == "lost":
            self.feed(speech[: len(speech) // 2])
            self.loop.microphone(GONE)
            self.loop.microphone(LIVE)
        else:
            self.feed(np.concatenate([speech, quiet]))
            if kind == "interrupted":
                self.feed(np.concatenate([speech, quiet]))
            elif kind == "stopped":
                self.loop.key("escape")
        self.feed(quiet)
        self.settle()
        for _ in self.screen.until(time.monotonic()):
            """Answers hold sound, and nobody asks for it."""
        return kind


def rss_kib() -> int:
    return int(next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in line).split()[1])


def main(turns: int = 5_000, told: int = 250) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tools = Path(folder) / "tools.json"
        tools.write_text(TOOLS)
        speech = [read_audio(one.file) for one in draw(Path(folder), 24)]
        clips = [one.samples for one in speech if one.rate == 16_000 and one.seconds < 3]
        life, rng, kinds = Life(tools), np.random.default_rng(7), dict[str, int]()
        held: list[tuple[int, int, int, int]] = []
        began = time.monotonic()
        for turn in range(1, turns + 1):
            kind = life.turn(rng, clips[int(rng.integers(len(clips)))])
            kinds[kind] = kinds.get(kind, 0) + 1
            if turn % told == 0:
                held.append((turn, rss_kib(), threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))))
                print(f"{turn} turns, {time.monotonic() - began:.0f} s: {held[-1][1] / 1024:.1f} MiB, "
                      f"{threads('self')} threads, {held[-1][3]} descriptors", flush=True)  # fmt: skip
        life.hands.close()
        life.mind.close()
    warm = np.array([one for one in held if one[0] > WARM_UP * turns])
    slope = float(np.polyfit(warm[:, 0], warm[:, 1], 1)[0])
    print(f"{machine_facts()['cpu']}; {turns} turns: {kinds}")
    print(f"memory after the first fifth: {slope:+.3f} KiB a turn; threads {sorted(set(warm[:, 2].tolist()))}, "
          f"descriptors {sorted(set(warm[:, 3].tolist()))}")  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
