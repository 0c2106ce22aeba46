"""One side of the comparison with mobius-onnx in a process of its own, so that no side's threads disturb the other.

The request arrives as JSON on stdin: {"side": "phi-edge" or "mobius", "model": directory, "asked": {mode: {"ids": [],
"forced": []}} or {}, "steps": n, "threads": n, "logits": npz to write}. Without `asked` it chooses tokens itself.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks.multimodal.cases import RATE
from benchmarks.multimodal.mobius_graphs import MobiusGraphs
from benchmarks.multimodal.synthetic_media import picture, recording
from edge.events import Mode
from edge.media.clip import Clip, read_clip
from edge.media.picture import Picture
from edge.media.tiling import choose_tiling
from edge.model import Model, load
from edge.prompt.message import Message
from edge.prompt.parts import Placeholder
from edge.runtime.generate import extend, prefill
from edge.runtime.media_tokens import MediaTokens

MODES: tuple[Mode, ...] = ("text", "speech", "vision", "vision_speech")
WORDS = "tell me what this is about and why it matters to you " * 3
SECONDS, SIDE, CUT = 10, 1344, 444
"""The picture is `CUT` pixels less high than wide, so that its last row of crops is padded."""


class Side(Protocol):
    def encode(self, mode: Mode, clip: Clip | None, image: Picture | None) -> None: ...

    def prefill(self, mode: Mode, ids: list[int]) -> np.ndarray: ...

    def step(self, token: int) -> np.ndarray: ...


class PhiEdge:
    def __init__(self, model: Model) -> None:
        self.model = model
        self._media: list[MediaTokens] = []

    def prompt(self, clip: Clip | None, image: Picture | None) -> list[int]:
        return self.model.tokenizer.encode_parts(
            self.model.chat_format.render([Message("user", WORDS, media=tuple(self._placeholders(clip, image)))])
        )

    def _placeholders(self, clip: Clip | None, image: Picture | None) -> list[Placeholder]:
        manifest, found = self.model.manifest, []
        if image and manifest.vision:
            found.append(Placeholder(manifest.vision.token, image.tokens, image.key))
        if clip and manifest.speech:
            found.append(Placeholder(manifest.speech.token, clip.tokens, clip.key))
        return found

    def encode(self, mode: Mode, clip: Clip | None, image: Picture | None) -> None:
        self.model.__dict__.pop("media", None)  # a fresh one has no cache: everything is encoded now
        attached = {one.key: one for one in (clip, image) if one}
        made = self.model.media.embed(self.prompt(clip, image), self._placeholders(clip, image), attached, mode)
        self._media = [one for one in made if isinstance(one, MediaTokens)]

    def prefill(self, mode: Mode, ids: list[int]) -> np.ndarray:
        sequence = self.model.sequence
        sequence.ids = []
        sequence.reuse(ids, self._media, self.model.decoder_graph(mode))
        return last(prefill(sequence, 256, True))

    def step(self, token: int) -> np.ndarray:
        return last(extend(self.model.sequence, token))


class Mobius:
    def __init__(self, directory: Path, threads: int) -> None:
        self._graphs = MobiusGraphs(directory, threads)
        self._features: tuple[np.ndarray | None, np.ndarray | None] = None, None

    def encode(self, mode: Mode, clip: Clip | None, image: Picture | None) -> None:
        pixels = self._graphs.encode_picture(image) if image else None
        self._features = pixels, self._graphs.encode_clip(clip, bool(image)) if clip else None

    def prefill(self, mode: Mode, ids: list[int]) -> np.ndarray:
        return self._graphs.prefill(ids, *self._features)

    def step(self, token: int) -> np.ndarray:
        return self._graphs.step(token)


def last(items: Any) -> np.ndarray:
    *_, logits = items
    return np.array(logits)


def media(mode: Mode) -> tuple[Clip | None, Picture | None]:
    clip = read_clip((recording(SECONDS, RATE, 1), float(RATE))) if "speech" in mode else None
    image = Picture(picture(SIDE, 1)[: SIDE - CUT], choose_tiling(SIDE, SIDE - CUT)) if "vision" in mode else None
    return clip, image


def ask(side: Side, mode: Mode, ids: list[int], forced: list[int], steps: int) -> tuple[np.ndarray, dict[str, Any]]:
    """Logits [steps + 1, vocab] and times; tokens are `forced`, or the greedy ones when there are none."""
    clip, image = media(mode)
    side.encode(mode, clip, image)  # warm
    start = time.perf_counter()
    side.encode(mode, clip, image)
    encoded = time.perf_counter()
    side.prefill(mode, ids)  # warm
    again = time.perf_counter()
    logits = [side.prefill(mode, ids)]
    read = time.perf_counter()
    tokens, ends = [], [time.perf_counter()]
    for index in range(steps):
        tokens.append(forced[index] if forced else int(logits[-1].argmax()))
        logits.append(side.step(tokens[-1]))
        ends.append(time.perf_counter())
    return np.stack(logits), {
        "ids": ids,
        "forced": tokens,
        "encode_s": encoded - start,
        "prefill_s": read - again,
        "step_s": float(np.median(np.diff(ends))),
    }


def main() -> None:
    request = json.load(sys.stdin)
    path, threads = Path(request["model"]), request["threads"]
    side = Mobius(path, threads) if request["side"] == "mobius" else PhiEdge(load(path, threads))
    answers: dict[str, Any] = {}
    logits: dict[str, Any] = {}
    for mode in MODES:
        asked = request["asked"].get(mode, {})
        ids = asked["ids"] if isinstance(side, Mobius) else side.prompt(*media(mode))
        logits[mode], answers[mode] = ask(side, mode, ids, asked.get("forced", []), request["steps"])
    np.savez(request["logits"], **logits)
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
