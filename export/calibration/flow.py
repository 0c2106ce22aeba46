"""What flows through the decoder for the sequences of one mode, in files: exact, and as the bundle will see it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edge.bundle.files import fsync_dir, write_bytes_durably
from export.calibration.cache import CacheRange
from export.calibration.layer import LayerMath
from export.calibration.rows_file import RowsFile
from export.graph.int8_cache import CacheSteps

EXACT, SEEN = "exact", "seen"
"""Through the checkpoint's own matrices, and through what they have become so far."""

KINDS = (EXACT, SEEN)


@dataclass(frozen=True, slots=True)
class Span:
    """One sequence: rows [start, stop). `held_out`: never learned from, but measured, from row `asked` on. `ids`: its
    tokens, where it is text alone, so that the next one is known."""

    start: int
    stop: int
    held_out: bool = False
    ids: tuple[int, ...] = ()
    asked: int = 0

    @property
    def measured(self) -> int:
        """The first row whose prediction counts."""
        return max(self.start, self.asked)


@dataclass(slots=True)
class Flow:
    """`mode` is text, speech or vision. Arrays are float32 [tokens, width]: the residual stream r, and u, what the
    second and the fourth matrix of a layer read. A layer begins with files that stay until the next one is done."""

    folder: Path
    mode: str
    math: LayerMath
    spans: Sequence[Span]
    data: str = ""
    """SHA-256 of what is held out: figures are comparable where it is equal."""
    before: dict[str, float] = field(default_factory=dict)
    """How far the encoders and projectors of the mode are off, by graph."""
    drift: list[float] = field(default_factory=list)
    """How far the seen stream is from the exact one, before the first layer and after each; of held-out tokens."""
    cached: Sequence[CacheSteps] = ()
    """By layer: the seen stream reads keys and values from an int8 cache with these steps, if there are any."""
    _layer: int = field(init=False)
    _range: CacheRange = field(init=False)
    _r: dict[str, RowsFile] = field(default_factory=dict)
    _u: dict[str, RowsFile] = field(default_factory=dict)

    def begin(self, states: dict[str, np.ndarray]) -> None:
        """The residual stream before the first layer, [tokens, hidden] of each kind."""
        for kind, rows in states.items():
            made = RowsFile(self.folder / f"{self.mode}.{kind}.r", rows.shape[1])
            made.write(0, rows)
            made.sync()
            made.path.rename(self._file(0, kind))

    def start(self, kind: str) -> RowsFile:
        """What `begin` was given, until the first layer is left."""
        return RowsFile(self._file(0, kind), self.math.spec.hidden_size)

    def open(self, layer: int) -> None:
        """Goes to the beginning of `layer`."""
        spec, told = self.math.spec, self.folder / f"drift.{self.mode}.json"
        self._layer, self._range = layer, CacheRange.unknown(spec)
        self.drift = json.loads(told.read_bytes())[: layer + 1] if layer else []
        wide = max(spec.qkv_rows[0], spec.intermediate_size)
        for kind in KINDS:
            before = RowsFile(self._file(layer, kind), spec.hidden_size)
            self._r[kind] = before.copy_to(self.folder / f"{self.mode}.{kind}.r")
            self._u[kind] = RowsFile(self.folder / f"{self.mode}.{kind}.u", wide)
        self.drift = self.drift or [self._distance()]

    def close(self, layer: int) -> None:
        """`layer` is done: its result is what the next one begins with, also after a stop."""
        self.drift = [*self.drift, self._distance()]
        write_bytes_durably(self._range_file(layer), self._range.to_bytes())
        write_bytes_durably(self.folder / f"drift.{self.mode}.json", json.dumps(self.drift).encode())
        for kind in KINDS:
            self._r[kind].sync()
            self._r[kind].path.rename(self._file(layer + 1, kind))
        fsync_dir(self.folder)

    def leave(self, layer: int) -> None:
        """Nothing will begin with `layer` again: all flows have what comes after it."""
        for kind in KINDS:
            self._file(layer, kind).unlink(missing_ok=True)

    def reached(self, layer: int) -> bool:
        """Whether `layer` can be begun."""
        return all(self._file(layer, kind).exists() for kind in KINDS)

    def input(self, role: str, kind: str, span: Span, gain: np.ndarray | None) -> np.ndarray:
        """float32 [T, K]: what the matrix `role` of the open layer reads; `gain` is the norm before it, if any."""
        if gain is not None:
            return self.math.normed(self.residual(kind, span), gain)
        width = self.math.spec.qkv_rows[0] if role == "attention_out" else self.math.spec.intermediate_size
        return self._u[kind].read(span.start, span.stop)[:, :width]

    def take(self, role: str, kind: str, span: Span, product: np.ndarray) -> None:
        """What the matrix made of its input, [T, N], goes on its way."""
        if role in ("attention_out", "down"):
            more = product * np.float32(self.math.spec.residual_multiplier)
            self._r[kind].write(span.start, self.residual(kind, span) + more)
            return
        made = self._attended(kind, span, product) if role == "qkv" else self.math.gated(product)
        padding = self._u[kind].width - made.shape[1]
        self._u[kind].write(span.start, np.pad(made, ((0, 0), (0, padding))))

    def learned_steps(self) -> list[CacheSteps]:
        """By layer, those that an int8 cache should have; all layers are done."""
        spec = self.math.spec
        files = map(self._range_file, range(spec.layers))
        return [CacheRange.from_bytes(spec, file.read_bytes()).steps for file in files]

    def _attended(self, kind: str, span: Span, qkv: np.ndarray) -> np.ndarray:
        if kind == SEEN and not span.held_out:
            self._range.add(qkv)
        return self.math.attended(qkv, self.cached[self._layer] if self.cached and kind == SEEN else None)

    def residual(self, kind: str, span: Span) -> np.ndarray:
        """[T, hidden] of the open layer, as far as it has come."""
        return self._r[kind].read(span.start, span.stop)

    def _distance(self) -> float:
        apart = size = 0.0
        for span in self.spans:
            if span.held_out:
                exact = self.residual(EXACT, span)
                apart += float(np.square(exact - self.residual(SEEN, span), dtype=np.float64).sum())
                size += float(np.square(exact, dtype=np.float64).sum())
        return float(np.sqrt(apart / size)) if size else 0.0

    def _range_file(self, layer: int) -> Path:
        return self.folder / f"range.{self.mode}.{layer}"

    def _file(self, layer: int, kind: str) -> Path:
        return self.folder / f"{self.mode}.{kind}.{layer}"
