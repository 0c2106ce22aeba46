"""A decoder on another processor, and the CPU's for a conversation that has outgrown the processor's window.

The rule: what needs more tokens than the window holds goes on on the CPU, with the keys and values that the processor
has computed; the processor takes over again with the first prompt that shares nothing with the cache and fits. Modes
that the processor has not proved to compute rightly are the CPU's from the start.
"""

from collections.abc import Callable, Collection

import numpy as np

from edge.bundle.manifest import DecoderInfo
from edge.runtime.decoder import Decoder
from edge.runtime.fixed_decoder import FixedDecoder
from edge.runtime.rotary import RotaryTables


class ProcessorDecoder:
    """`graphs` are the modes of the processor. `open_cpu` loads the CPU's decoder, once it is needed.

    Not thread-safe, except for `cancel`.
    """

    def __init__(self, fixed: FixedDecoder, open_cpu: Callable[[str], Decoder], graphs: Collection[str]) -> None:
        self._fixed, self._open_cpu, self._graphs = fixed, open_cpu, frozenset(graphs)
        self.graph = fixed.graph
        self._cpu: Decoder | None = None
        self._active: FixedDecoder | Decoder = fixed

    @property
    def on_cpu(self) -> bool:
        return self._active is not self._fixed

    @property
    def info(self) -> DecoderInfo:
        return self._fixed.info

    @property
    def length(self) -> int:
        return self._active.length

    @property
    def rotary(self) -> RotaryTables:
        return self._active.rotary

    def select(self, name: str) -> None:
        """Another mode than before empties the cache."""
        if name == self.graph:
            return
        self.rewind(0)
        self.graph = name
        if name in self._graphs:
            self._fixed.select(name)
            self._active = self._fixed
        else:
            self._active = self._opened()

    def reserve(self, tokens: int, long: bool | None = None) -> None:
        """Room for `tokens`, where that is; see the rule above."""
        fits = tokens <= self._fixed.capacity and self.graph in self._graphs
        if fits and self.on_cpu and not self.length:
            self._active = self._fixed
        if not fits and not self.on_cpu:
            self._active = self._moved(tokens)
        self._active.reserve(tokens, long)

    def rewind(self, length: int) -> None:
        self._active.rewind(length)

    def prefill(
        self,
        ids: np.ndarray | list[int],
        rows: np.ndarray | list[int] | None = None,
        media: np.ndarray | None = None,
        media_rows: np.ndarray | None = None,
    ) -> np.ndarray:
        """As `Decoder.prefill`."""
        return self._active.prefill(ids, rows, media, media_rows)

    def step(self, token: int) -> np.ndarray:
        return self._active.step(token)

    def cancel(self) -> None:
        """Stops the running call, or the next one; from any thread. `resume` takes it back."""
        for one in (self._fixed, self._cpu):
            if one:
                one.cancel()

    def resume(self) -> None:
        for one in (self._fixed, self._cpu):
            if one:
                one.resume()

    def _moved(self, tokens: int) -> Decoder:
        """The CPU's decoder with the processor's keys and values."""
        fixed, cpu = self._fixed, self._opened()
        cpu.take(fixed.past, fixed.length, fixed.rotary.long, tokens)
        fixed.rewind(0)
        return cpu

    def _opened(self) -> Decoder:
        self._cpu = self._cpu or self._open_cpu(self.graph)
        self._cpu.select(self.graph)
        return self._cpu
