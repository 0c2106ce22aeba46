"""Encoders of fixed shapes, as neural processors run them, with the same calls as `edge.runtime.encoder.Encoders`.

What a clip or a crop does not fill is masked. Recordings of more frames than the graph takes are encoded on the CPU.
"""

from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
import onnxruntime as ort

from edge.runtime.encoder import Encoders
from edge.runtime.fixed_window import HIDDEN

STAGES = 3
"""Convolutions of stride 2 in front of the speech encoder."""


class FixedEncoders(Encoders):
    """`opened` gives the session of a fixed graph by its name; graphs not in `names` are computed on the CPU."""

    def __init__(
        self,
        place: Callable[[str], Path | None],
        opened: Callable[[str], ort.InferenceSession],
        names: Collection[str],
        threads: int = 0,
        tuned: Path | None = None,
    ) -> None:
        super().__init__(place, threads, tuned)
        self._fixed, self._names = opened, frozenset(names)

    def open(self, name: str) -> ort.InferenceSession:
        return self._fixed(name) if name in self._names else super().open(name)

    def run(self, name: str, **inputs: np.ndarray) -> np.ndarray:
        """The only output of a graph. Raises Cancelled."""
        if name not in self._names:
            return super().run(name, **inputs)
        if name == "speech_encoder":
            return self._speech(**inputs)
        if name == "vision_encoder":
            return self._crop(**inputs)
        if name == "vision_projector":
            order = inputs["order"].reshape(1, -1)
            return self._projected(name, self._call("patch_order", patches=inputs["patches"], order=order)[0])
        return self._projected(name, inputs["encoded"])

    def _speech(self, features: np.ndarray, skip: np.ndarray, key_bias: np.ndarray) -> np.ndarray:
        """The graph has one frame more than it gives back: the past of a later window, or nothing, which is masked."""
        session = self._fixed("speech_encoder")
        shapes = {one.name: one.shape for one in session.get_inputs()}
        frames, rows = shapes["key_bias"][-1], shapes["features"][1]
        count, empty = len(key_bias), 0 if skip[0] else rows // (frames + 1)
        if count > frames:
            on_cpu = super().open("speech_encoder")
            return self._run("speech_encoder", on_cpu, {"features": features, "skip": skip, "key_bias": key_bias})
        padded = np.zeros(shapes["features"], np.float32)
        end = empty + features.shape[1]
        padded[:, empty:end] = features
        given = {"features": padded}
        for stage in range(STAGES):
            place = np.arange(rows >> stage)
            given[f"rows.{stage}"] = ((place >= empty) & (place < end)).astype(np.float32).reshape(1, 1, -1, 1)
            empty, end = empty // 2, -(-end // 2)
        bias = np.full(frames, HIDDEN)
        bias[:count] = np.maximum(key_bias, HIDDEN)
        return self._call("speech_encoder", key_bias=bias.reshape(1, 1, 1, -1), **given)[0, :count]

    def _crop(self, pixels: np.ndarray, positions: np.ndarray, key_bias: np.ndarray) -> np.ndarray:
        session = self._fixed("vision_encoder")
        shapes = {one.name: one.shape for one in session.get_inputs()}
        crop, side = shapes["pixels"][-1], round(shapes["positions"][-1] ** 0.5)
        height, width = (size * side // crop for size in pixels.shape[2:])
        whole = np.zeros(shapes["pixels"], np.float32)
        whole[:, :, : pixels.shape[2], : pixels.shape[3]] = pixels
        places, bias = np.zeros((side, side), np.int32), np.full((side, side), HIDDEN)
        places[:height, :width] = positions.reshape(height, width)
        bias[:height, :width] = np.maximum(key_bias.reshape(height, width), HIDDEN)
        made = self._call(
            "vision_encoder",
            pixels=whole,
            positions=places.reshape(1, -1),
            key_bias=bias.reshape(1, 1, 1, -1),
        )
        made = made.reshape(side // 2, side // 2, -1)[: height // 2, : width // 2]
        return made.reshape(1, -1, made.shape[-1])

    def _projected(self, name: str, encoded: np.ndarray) -> np.ndarray:
        """Of [N, width], as many at a time as the graph takes."""
        shape = self._fixed(name).get_inputs()[0].shape
        made = []
        for at in range(0, len(encoded), shape[1]):
            some = encoded[at : at + shape[1]]
            padded = np.zeros(shape, np.float32)
            padded[0, : len(some)] = some
            made.append(self._call(name, encoded=padded)[0, : len(some)])
        return np.concatenate(made)

    def _call(self, name: str, **inputs: np.ndarray) -> np.ndarray:
        return self._run(name, self._fixed(name), inputs)
