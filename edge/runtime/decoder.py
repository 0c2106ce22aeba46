"""One decoder session with its KV cache: feed token ids, get logits. Batch 1, no text, no sampling."""

from pathlib import Path

import numpy as np
import onnxruntime as ort

from edge.bundle.bundle import Bundle
from edge.bundle.manifest import DecoderInfo
from edge.errors import EdgeError
from edge.runtime.kv_cache import KVCache
from edge.runtime.rotary import RotaryTables
from edge.runtime.session import open_session, session_options
from edge.runtime.tune import tuned_graph

CHUNK = 256
"""Tokens per prefill call: long enough to be fast, short enough to cancel soon and to keep activations small."""


class Cancelled(EdgeError):
    """A running call was stopped by `Decoder.cancel`; the KV cache still holds what it held before the call."""

    exit_code = 130


class Decoder:
    """`length` tokens are in the KV cache. Not thread-safe, except for `cancel`."""

    def __init__(self, graph: Path, info: DecoderInfo, threads: int = 0) -> None:
        self.info = info
        self.session = open_session(graph, session_options(threads))
        self.rotary = RotaryTables(info.rotary)
        self.cache = KVCache(info)
        self.length = 0
        self._run_options = ort.RunOptions()
        self._seqlens = np.zeros(1, np.int32)
        self._total = np.zeros((), np.int32)
        self._last_row = np.zeros(1, np.int64)
        self._token = np.zeros((1, 1), np.int64)
        self._logits = np.zeros((1, info.vocab_size), np.float32)
        self._step_binding: ort.IOBinding | None = None

    def reserve(self, tokens: int, long: bool | None = None) -> None:
        """Room for a sequence of `tokens`; `long` picks the rotary regime (by default what `tokens` asks for).

        Changing the regime empties the KV cache: cached keys were rotated with the other frequencies.
        """
        long = self.rotary.needs_long(tokens) if long is None else long
        kept = self.length if long == self.rotary.long else 0
        self.length = 0  # also what remains when there is no memory for the new buffers
        grown = self.cache.reserve(tokens, kept)
        self.length = kept
        if self.rotary.prepare(self.cache.capacity, long) or grown:
            self._step_binding = None

    @classmethod
    def load(cls, bundle: Bundle, threads: int = 0) -> "Decoder":
        """The text decoder of a bundle, from its tuned copy if there is one. Raises BundleError, ResourceError."""
        graph = bundle.manifest.graphs["text"]
        return cls(tuned_graph(bundle, graph) or bundle.file(graph), bundle.manifest.decoder, threads)

    def rewind(self, length: int) -> None:
        """Forgets all but the first `length` tokens."""
        self.length = min(self.length, length)

    def prefill(self, ids: np.ndarray | list[int], rows: np.ndarray | list[int] | None = None) -> np.ndarray:
        """Appends ids int64 [S] in one call; logits float32 [R, vocab] of R ≥ 1 `rows` (default: the last).

        Raises Cancelled. `reserve` must have made room.
        """
        tokens = np.asarray(ids, np.int64).reshape(1, -1)
        count = tokens.shape[1]
        wanted = np.array([count - 1], np.int64) if rows is None else np.asarray(rows, np.int64)
        logits = np.empty((len(wanted), self.info.vocab_size), np.float32)
        self._run(self._bind(tokens, wanted, logits), count)
        return logits

    def step(self, token: int) -> np.ndarray:
        """Appends one token; logits float32 [vocab], a view that the next step overwrites. Raises Cancelled."""
        if self._step_binding is None:
            self._step_binding = self._bind(self._token, self._last_row, self._logits)
        self._token[0, 0] = token
        self._run(self._step_binding, 1)
        return self._logits[0]

    def cancel(self) -> None:
        """Stops the running call, or the next one; from any thread. `resume` takes it back."""
        self._run_options.terminate = True

    def resume(self) -> None:
        self._run_options.terminate = False

    def _run(self, binding: ort.IOBinding, count: int) -> None:
        if self.length + count > self.cache.capacity:
            raise ValueError(f"{self.length} + {count} tokens do not fit into the reserved {self.cache.capacity}")
        self._seqlens[0] = self.length + count - 1
        self._total[...] = self.length + count
        try:
            self.session.run_with_iobinding(binding, self._run_options)
        except Exception as error:
            if self._run_options.terminate:
                raise Cancelled("cancelled") from None
            raise EdgeError(f"the decoder failed: {str(error)[:300]}", "try  edge doctor") from None
        self.length += count

    def _bind(self, tokens: np.ndarray, rows: np.ndarray, logits: np.ndarray) -> ort.IOBinding:
        """Everything is bound by reference; the arrays live in this object or in the caller's frame."""
        binding = self.session.io_binding()
        inputs = {
            "input_ids": tokens,
            "logit_rows": rows,
            "seqlens_k": self._seqlens,
            "total_sequence_length": self._total,
            "cos_cache": self.rotary.cos,
            "sin_cache": self.rotary.sin,
        }
        for name, array in inputs.items():
            binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(array))
        binding.bind_ortvalue_output("logits", ort.OrtValue.ortvalue_from_numpy(logits))
        for name, buffer in self.cache.buffers.items():
            binding.bind_ortvalue_input(f"past.{name}", buffer)
            binding.bind_ortvalue_output(f"present.{name}", buffer)
        return binding
