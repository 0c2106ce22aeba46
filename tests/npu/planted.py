"""Execution providers that are good or bad on purpose: around onnxruntime's own, in classes that a child can import."""

import ctypes
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from benchmarks.processors.fixed_on_cpu import FixedOnCpu
from edge.errors import DeviceError


@dataclass(frozen=True, slots=True)
class Honest(FixedOnCpu):
    """Each opened graph is a line in the file of the option "trace"."""

    name: str = "planted"
    package: str = "planted"

    def open(self, graph: Path, options: ort.SessionOptions) -> ort.InferenceSession:
        if trace := self.options.get("trace"):
            with Path(trace).open("a") as lines:
                lines.write(f"{graph.name}\n")
        return FixedOnCpu.open(self, graph, options)


@dataclass(frozen=True, slots=True)
class Around:
    """A session whose `run` does something else."""

    session: ort.InferenceSession
    repeat: int = 1
    factor: float = 1.0
    shapes: dict[str, Any] = field(default_factory=dict)

    def get_inputs(self) -> Any:
        return self.session.get_inputs()

    def get_outputs(self) -> Any:
        return self.session.get_outputs()

    def run(self, names: None, feeds: Mapping[str, np.ndarray], options: ort.RunOptions) -> list[np.ndarray]:
        for _ in range(self.repeat):
            found = self.session.run(names, feeds, options)
        noise = np.random.default_rng(0)
        return [
            one if self.factor == 1.0 else one * noise.normal(1, 1 - self.factor, one.shape).astype(np.float32)
            for one in found
        ]


@dataclass(frozen=True, slots=True)
class Wrong(Honest):
    """Every number is off by about a third."""

    def open(self, graph: Path, options: ort.SessionOptions) -> Any:
        return Around(Honest.open(self, graph, options), factor=0.7)


@dataclass(frozen=True, slots=True)
class Slow(Honest):
    """Computes all of it many times."""

    def open(self, graph: Path, options: ort.SessionOptions) -> Any:
        return Around(Honest.open(self, graph, options), repeat=100)


@dataclass(frozen=True, slots=True)
class Crashing(Honest):
    def open(self, graph: Path, options: ort.SessionOptions) -> ort.InferenceSession:
        Honest.open(self, graph, options)
        ctypes.string_at(0)
        raise AssertionError("still alive")


@dataclass(frozen=True, slots=True)
class Hanging(Honest):
    def open(self, graph: Path, options: ort.SessionOptions) -> ort.InferenceSession:
        Honest.open(self, graph, options)
        while True:
            signal.pause()


@dataclass(frozen=True, slots=True)
class Refusing(Honest):
    def open(self, graph: Path, options: ort.SessionOptions) -> ort.InferenceSession:
        Honest.open(self, graph, options)
        raise DeviceError("the chip is too old", "buy another")


@dataclass(frozen=True, slots=True)
class Raising(Honest):
    def open(self, graph: Path, options: ort.SessionOptions) -> ort.InferenceSession:
        Honest.open(self, graph, options)
        raise ZeroDivisionError("of the vendor")
