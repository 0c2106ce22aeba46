"""python -m benchmarks.live.commands: spoken commands through a real microphone path, beside the same from files.

By voices that the model was not trained on, with random pauses between them. Told are utterances that were heard once,
calls that are right from the microphone and from the files, and the time from the end of speech to the first call,
with and without computing while somebody speaks.
"""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import soundfile
import typer

import edge
from benchmarks.devices.sound_server import BOOTH, SoundServer, virtual_microphone
from benchmarks.terminal.language.commands import draw_command
from benchmarks.terminal.language.tools import FLAT
from benchmarks.terminal.speech.utterance import draw_utterance
from edge.devices.health import Health
from edge.doctor import machine_facts
from edge.events import ToolCall
from edge.live.listener import Listener, Wishes
from edge.live.screen import Report
from edge.live.utterances import RATE

OFFERED = ("set_speed", "stop", "read_sensor")
SEED = 992_001
QUIET_S = 2.5
"""After so long without an answer the utterance was not heard."""


@dataclass(frozen=True, slots=True)
class Spoken:
    file: Path
    wanted: ToolCall


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer: what the microphone heard, the calls, and seconds from its certain end to the first of them."""

    samples: np.ndarray
    calls: list[ToolCall]
    seconds: float


class Recorder:
    """A Screen that passes on answers, and when the microphone is ready."""

    can_ask = False

    def __init__(self) -> None:
        self._answers: Queue[Heard] = Queue()
        self.ready = threading.Event()
        self._calls: list[ToolCall] = []

    def until(self, end: float) -> Iterator[Heard]:
        """Answers until that time of the monotonic clock."""
        with contextlib.suppress(Empty):
            while True:
                yield self._answers.get(timeout=max(0.0, end - time.monotonic()))

    def state(self, state: str) -> None:
        if state == "listening":
            self.ready.set()

    def call(self, name: str, arguments: dict[str, Any]) -> None:
        self._calls.append(ToolCall(name, arguments))

    def turn(self, report: Report) -> None:
        self._answers.put(Heard(report.utterance.samples, self._calls, report.first_token_s))
        self._calls = []

    def clear(self) -> None:
        self._calls = []

    def microphone(self, health: Health) -> None: ...
    def camera(self, health: Health) -> None: ...
    def level(self, level: object) -> None: ...
    def picture(self, rgb: object) -> None: ...
    def text(self, text: str) -> None: ...
    def ask(self, line: str) -> None: ...
    def outcome(self, outcome: object) -> None: ...
    def note(self, text: str) -> None: ...
    def error(self, error: Exception) -> None:
        print(f"error: {error}")

    def close(self) -> None: ...


def draw(folder: Path, count: int) -> list[Spoken]:
    made = []
    for number in range(count):
        rng = np.random.default_rng([SEED, number])
        command = draw_command(rng, OFFERED[number % len(OFFERED)])
        said = draw_utterance(rng, command.words, "held_out")
        file = folder / f"{number:03d}.wav"
        soundfile.write(file, said.samples, said.rate, "PCM_16")
        made.append(Spoken(file, command.call))
    return made


def answer(model: edge.Model, tools: Path, audio: Any) -> tuple[list[ToolCall], float]:
    """All calls, and seconds until the first; the KV cache holds the functions, as it does in the loop."""
    began, first, calls = time.monotonic(), 0.0, []
    for event in model.conversation(tools=edge.load_tools(tools)).generate("", audio=[audio]):
        if isinstance(event, ToolCall | edge.TextDelta):
            first = first or time.monotonic() - began
        if isinstance(event, ToolCall):
            calls.append(event)
    return calls, first


def listen(tools: Path, spoken: list[Spoken], microphone: SoundServer) -> list[list[Heard]]:
    """What was heard of each utterance: one answer if all is well."""
    recorder, found = Recorder(), []
    listener = Listener(lambda: edge.load(mode="speech"), Wishes(tools=tools), recorder)
    thread = threading.Thread(target=listener.run, daemon=True)
    thread.start()
    recorder.ready.wait()
    rng = np.random.default_rng(SEED)
    with typer.progressbar(spoken, label="listen") as bar:
        for one in bar:
            microphone.play_to_end(one.file, BOOTH)
            found.append(list(recorder.until(time.monotonic() + QUIET_S + float(rng.uniform(0, 1.5)))))
    listener.stop()
    thread.join()
    listener.close()
    return found


def main(
    count: int = 100,
    json_file: Annotated[Path | None, typer.Option("--json", help="Where all figures go.")] = None,
) -> None:
    with TemporaryDirectory() as folder, virtual_microphone() as microphone:
        tools = Path(folder) / "tools.json"
        tools.write_text(json.dumps([tool for tool in FLAT if tool["name"] in OFFERED]))
        spoken = draw(Path(folder), count)
        heard = listen(tools, spoken, microphone)
        model = edge.load(mode="speech")
        files = [answer(model, tools, one.file)[0] for one in spoken]
        once = [answers[0] for answers in heard if len(answers) == 1]
        again = [answer(model, tools, (one.samples, RATE)) for one in once]
    right = sum(bool(answers) and answers[0].calls == [one.wanted] for answers, one in zip(heard, spoken, strict=True))
    right_files = sum(calls == [one.wanted] for calls, one in zip(files, spoken, strict=True))
    same = sum(calls == one.calls for (calls, _), one in zip(again, once, strict=True))
    ahead, after = ([one.seconds for one in once], [seconds for _, seconds in again])
    facts = machine_facts()
    print(f"{facts['cpu']}, {facts['cores']} cores, {facts['system']}, {facts['versions']}")
    print(f"of {count} utterances heard once: {len(once)}, not at all: {sum(not one for one in heard)}")
    for number, answers in enumerate(heard):
        if len(answers) != 1:
            print(f"  utterance {number} heard {len(answers)} times")
    print(f"calls right: {right} from the microphone, {right_files} from the files")
    print(f"the same calls when all is computed after the end: {same} of {len(once)}")
    print("| from the certain end to the first call | min | median | p95 | max |")
    print("|---|---:|---:|---:|---:|")
    for name, seconds in (("computed while speaking", ahead), ("computed after the end", after)):
        print(
            f"| {name} | {' | '.join(f'{1000 * float(s):.1f} ms' for s in np.percentile(seconds, (0, 50, 95, 100)))} |"
        )
    if json_file:
        figures = {"heard": list(map(len, heard)), "right": right, "right_files": right_files, "same": same}
        json_file.write_text(json.dumps({"machine": facts, "ahead_s": ahead, "after_s": after} | figures))


if __name__ == "__main__":
    typer.run(main)
