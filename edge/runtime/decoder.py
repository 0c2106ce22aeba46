"""The decoder sessions with their KV cache: feed token ids, get logits. Batch 1, no text, no sampling."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort

from edge.bundle.bundle import Bundle
from edge.bundle.manifest import PREFILL, DecoderInfo
from edge.errors import EdgeError
from edge.runtime.heap import heap_for, trim_heap
from edge.runtime.huge_pages import Promotion
from edge.runtime.kv_cache import KVCache
from edge.runtime.mapped_weights import release_mapped
from edge.runtime.rotary import RotaryTables
from edge.runtime.session import open_session, session_options
from edge.runtime.stoppable import Stoppable
from edge.runtime.tune import graph_path, tuned_copy

CHUNK = 256
"""Tokens per prefill call: long enough to be fast, short enough to cancel soon and to keep activations small."""

FAST_TOKENS = 16
"""Fewer tokens per call wait for memory, and the int8 weights of the fast graph are twice as many bytes."""

TEXT = "text"


@dataclass(frozen=True, slots=True)
class Graphs:
    """The sessions of one adapter. `fast` is the same decoder over int8 weights, for many tokens at once."""

    step: ort.InferenceSession
    fast: ort.InferenceSession | None
    media: bool
    """Whether the graph takes media embeddings."""

    def for_tokens(self, count: int) -> ort.InferenceSession:
        return self.fast if self.fast and count >= FAST_TOKENS else self.step


class Decoder(Stoppable):
    """`length` tokens are in the KV cache, computed with `graph`. Not thread-safe, except for `cancel`.

    Graphs are opened when first selected; they share one KV cache, because a key computed with one adapter means
    nothing to another. `tuned` is the directory of tuned copies, if they are used.
    """

    def __init__(
        self,
        place: Callable[[str], Path | None],
        info: DecoderInfo,
        threads: int = 0,
        tuned: Path | None = None,
        graph: str = TEXT,
    ) -> None:
        self.info = info
        self._tuned = tuned
        self.rotary = RotaryTables(info.rotary)
        self.cache = KVCache(info)
        self.length = 0
        self._place, self._threads = place, threads
        self._opened: dict[str, Graphs] = {}
        self._promotion: Promotion | None = None
        super().__init__()
        self._seqlens = np.zeros(1, np.int32)
        self._total = np.zeros((), np.int32)
        self._last_row = np.zeros(1, np.int64)
        self._token = np.zeros((1, 1), np.int64)
        self._logits = np.zeros((1, info.vocab_size), np.float32)
        self._no_media = np.zeros((0, info.hidden_size), np.float32)
        self._no_rows = np.zeros((0, 1), np.int64)
        self._step_binding: ort.IOBinding | None = None
        self.graph = graph
        self.open(graph)

    @classmethod
    def load(cls, bundle: Bundle, threads: int = 0, graph: str = TEXT) -> "Decoder":
        """The decoder of a bundle, from its tuned copy if there is one. Raises BundleError, ResourceError."""
        return cls(lambda name: graph_path(bundle, name), bundle.manifest.decoder, threads, tuned_copy(bundle), graph)

    def open(self, name: str) -> Graphs:
        """The sessions of a decoder graph, loaded now if they are not yet."""
        if name not in self._opened:
            graph, fast = self._place(name), self._place(name + PREFILL)
            if graph is None:
                raise EdgeError(f"the bundle has no decoder for {name}", "choose another bundle")
            with ThreadPoolExecutor(2) as pool:  # both wait for the disk most of the time
                second = pool.submit(open_session, fast, session_options(self._threads)) if fast else None
                first = open_session(graph, session_options(self._threads))
            media = any(one.name == "media" for one in first.get_inputs())
            if not self._tuned:
                trim_heap()
                self._promotion = Promotion()
                self._promotion.start()
            self._opened[name] = Graphs(first, second.result() if second else None, media)
        return self._opened[name]

    def select(self, name: str) -> None:
        """Computes with this graph from now on. Another one than before empties the KV cache.

        Graphs of a tuned bundle stay open: they map the same weights. Others have a packed copy each, so the one
        before is closed first.
        """
        if name == self.graph:
            return
        self.length, self._step_binding = 0, None
        if not self._tuned:
            if self._promotion:
                self._promotion.stop()
            self._opened.pop(self.graph, None)
            trim_heap()
        else:
            release_mapped(self._tuned)
        self.open(name)
        self.graph = name

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

    def take(self, past: dict[str, np.ndarray], length: int, long: bool, tokens: int) -> None:
        """Goes on with the keys and values of another decoder, float32 [1, kv_heads, ≥ length, head_size] by
        "N.key|value", with room for `tokens`."""
        self.length = 0
        self.reserve(tokens, long)
        for name, rows in past.items():
            buffer = self.cache.buffers[name].numpy()
            buffer[:, :, :length] = rows[:, :, :length]
            self.cache.buffers[name].update_inplace(buffer)
        self.length = length

    def rewind(self, length: int) -> None:
        """Forgets all but the first `length` tokens."""
        self.length = min(self.length, length)

    def prefill(
        self,
        ids: np.ndarray | list[int],
        rows: np.ndarray | list[int] | None = None,
        media: np.ndarray | None = None,
        media_rows: np.ndarray | None = None,
    ) -> np.ndarray:
        """Appends ids int64 [S] in one call; logits float32 [R, vocab] of R ≥ 1 `rows` (default: the last).

        `media` float32 [M, hidden] replaces the embeddings of the tokens at `media_rows` int64 [M] of this call.
        Raises Cancelled. `reserve` must have made room.
        """
        tokens = np.asarray(ids, np.int64).reshape(1, -1)
        count = tokens.shape[1]
        wanted = np.array([count - 1], np.int64) if rows is None else np.asarray(rows, np.int64)
        logits = np.empty((len(wanted), self.info.vocab_size), np.float32)
        placed = self._no_rows if media_rows is None else media_rows.reshape(-1, 1)
        session = self.open(self.graph).for_tokens(count)
        embeddings = self._no_media if media is None else np.ascontiguousarray(media, np.float32)
        self._run(session, self._bind(session, tokens, wanted, logits, embeddings, placed), count)
        return logits

    def step(self, token: int) -> np.ndarray:
        """Appends one token; logits float32 [vocab], a view that the next step overwrites. Raises Cancelled."""
        session = self.open(self.graph).step
        if self._step_binding is None:
            self._step_binding = self._bind(
                session, self._token, self._last_row, self._logits, self._no_media, self._no_rows
            )
        self._token[0, 0] = token
        self._run(session, self._step_binding, 1)
        return self._logits[0]

    def _run(self, session: ort.InferenceSession, binding: ort.IOBinding, count: int) -> None:
        if self.length + count > self.cache.capacity:
            raise ValueError(f"{self.length} + {count} tokens do not fit into the reserved {self.cache.capacity}")
        self._seqlens[0] = self.length + count - 1
        self._total[...] = self.length + count
        with self._told("the decoder"), heap_for(count):
            session.run_with_iobinding(binding, self._run_options)
        self.length += count

    def _bind(
        self,
        session: ort.InferenceSession,
        tokens: np.ndarray,
        rows: np.ndarray,
        logits: np.ndarray,
        media: np.ndarray,
        media_rows: np.ndarray,
    ) -> ort.IOBinding:
        """Everything is bound by reference; the arrays live in this object or in the caller's frame."""
        binding = session.io_binding()
        inputs = {
            "input_ids": tokens,
            "logit_rows": rows,
            "seqlens_k": self._seqlens,
            "total_sequence_length": self._total,
            "cos_cache": self.rotary.cos,
            "sin_cache": self.rotary.sin,
        }
        if self.open(self.graph).media:
            inputs |= {"media": media, "media_rows": media_rows}
        for name, array in inputs.items():
            binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(array))
        binding.bind_ortvalue_output("logits", ort.OrtValue.ortvalue_from_numpy(logits))
        for name, buffer in self.cache.buffers.items():
            binding.bind_ortvalue_input(f"past.{name}", buffer)
            binding.bind_ortvalue_output(f"present.{name}", buffer)
        return binding
