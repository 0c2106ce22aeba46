"""How far the encoders and projectors of a bundle are from the checkpoint's, graph by graph."""

from pathlib import Path

import numpy as np
import onnxruntime as ort

from edge.runtime.encoder import Encoders
from edge.runtime.session import open_session, session_options


class RecordedEncoders(Encoders):
    """Those in `folder`. `made`: what each graph put out since it was last cleared. Where they are `mapped`, weights
    are not packed: copies of float32 would take more memory than all the rest. With `one_encoder` the last one is
    closed before another is opened, for a limit on memory counts every page that a session has mapped."""

    def __init__(self, folder: Path, mapped: bool, one_encoder: bool = False) -> None:
        super().__init__(lambda name: folder / f"{name}.onnx")
        self._folder, self._mapped, self._one_encoder = folder, mapped, one_encoder
        self.made: dict[str, list[np.ndarray]] = {}

    def open(self, name: str) -> ort.InferenceSession:
        if self._one_encoder and name.endswith("_encoder") and name not in self._opened:
            self.close()
        if self._mapped and name not in self._opened:
            options = session_options(0, plan_reuse=False)
            options.add_session_config_entry("session.disable_prepacking", "1")
            self._opened[name] = open_session(self._folder / f"{name}.onnx", options)
        return super().open(name)

    def run(self, name: str, **inputs: np.ndarray) -> np.ndarray:
        result = super().run(name, **inputs)
        self.made.setdefault(name, []).append(result)
        return result

    def close(self) -> None:
        """Sessions are opened again when they are needed; `made` stays."""
        self._opened.clear()


class EncoderDrift:
    """Relative distances over all that was compared; a projector's includes that of the encoder before it."""

    def __init__(self) -> None:
        self._sums: dict[str, np.ndarray] = {}

    def compare(self, exact: RecordedEncoders, seen: RecordedEncoders) -> None:
        """What both made of the same inputs, which is forgotten then."""
        for name, arrays in exact.made.items():
            for one, other in zip(arrays, seen.made[name], strict=True):
                apart, size = (np.square(x, dtype=np.float64).sum() for x in (one - other, one))
                self._sums[name] = self._sums.get(name, np.zeros(2)) + np.array([apart, size])
        exact.made.clear()
        seen.made.clear()

    @property
    def distances(self) -> dict[str, float]:
        """By graph, an encoder before its projector."""
        return {name: float(np.sqrt(apart / size)) if size else 0.0 for name, (apart, size) in self._sums.items()}
