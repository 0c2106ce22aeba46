"""Sessions of the speech and vision encoders: arrays in, arrays out, opened when first needed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort

from edge.bundle.bundle import Bundle
from edge.errors import EdgeError
from edge.runtime.heap import kept_heap
from edge.runtime.mapped_weights import release_mapped
from edge.runtime.session import open_session, session_options
from edge.runtime.stoppable import Cancelled, Stoppable
from edge.runtime.tune import graph_path, tuned_copy


class Encoders(Stoppable):
    """Not thread-safe, except for `cancel`."""

    def __init__(self, place: Callable[[str], Path | None], threads: int = 0, tuned: Path | None = None) -> None:
        self._place, self._threads, self._tuned = place, threads, tuned
        self._opened: dict[str, ort.InferenceSession] = {}
        super().__init__()

    @classmethod
    def of(cls, bundle: Bundle, threads: int = 0) -> "Encoders":
        return cls(lambda name: graph_path(bundle, name), threads, tuned_copy(bundle))

    def open(self, name: str) -> ort.InferenceSession:
        """The session of an encoder or projector graph. Raises BundleError, ResourceError."""
        if name not in self._opened:
            graph = self._place(name)
            if graph is None:
                raise EdgeError(f"the bundle has no graph {name}", "choose another bundle")
            self._opened[name] = open_session(graph, session_options(self._threads, plan_reuse=False))
        return self._opened[name]

    def run(self, name: str, **inputs: np.ndarray) -> np.ndarray:
        """The only output of a graph. Raises Cancelled."""
        return self._run(name, self.open(name), inputs)

    def _run(self, name: str, session: ort.InferenceSession, inputs: dict[str, np.ndarray]) -> np.ndarray:
        if self._run_options.terminate:
            raise Cancelled("cancelled")
        with self._told(name), kept_heap():
            (result,) = session.run(None, inputs, self._run_options)
        assert isinstance(result, np.ndarray)
        return result

    def rest(self) -> None:
        """Their weights are not needed until something new is attached."""
        if self._tuned:
            release_mapped(self._tuned)
