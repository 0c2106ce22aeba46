"""A decoder of fixed shapes, as neural processors run it, with the same calls as `edge.runtime.decoder.Decoder`.

Prompts go through a graph for a chunk of tokens, padded at its end; answers through one for a single token. Rows of
padding see only themselves and what is real before them, nobody sees them, and their keys are not kept.
"""

from collections.abc import Callable

import numpy as np
import onnxruntime as ort

from edge.bundle.manifest import DecoderInfo
from edge.runtime.decoder import TEXT
from edge.runtime.fixed_window import FixedWindow
from edge.runtime.rotary import RotaryTables
from edge.runtime.stoppable import Stoppable

Open = Callable[[str], ort.InferenceSession]
"""The session of a graph by its name, opened when first asked for: embedding, head, MODE.chunk, MODE.step."""


class FixedDecoder(Stoppable):
    """`length` tokens are in the window, which holds `capacity`. Not thread-safe, except for `cancel`."""

    def __init__(self, info: DecoderInfo, opened: Open, graph: str = TEXT) -> None:
        super().__init__()
        self.info, self.graph, self._open = info, graph, opened
        shapes = {one.name: one.shape for one in opened(f"{graph}.chunk").get_inputs()}
        for name in (f"{graph}.step", "embedding", "head"):  # now, when there is time
            opened(name)
        self.chunk: int = shapes["embedded"][1]
        self.capacity: int = shapes["past.0.key"][2]
        self._window = FixedWindow(info, self.capacity)
        self.rotary = RotaryTables(info.rotary)
        self.rotary.prepare(self.capacity + self.chunk, False)

    @property
    def length(self) -> int:
        return self._window.length

    @property
    def past(self) -> dict[str, np.ndarray]:
        """Keys and values float32 [1, kv_heads, capacity, head_size] by "N.key|value"; `length` tokens are valid."""
        return {name.removeprefix("past."): rows for name, rows in self._window.past.items()}

    def select(self, name: str) -> None:
        """Computes with this mode from now on. Another one than before empties the window."""
        if name != self.graph:
            self.graph = name
            self.rewind(0)
            for part in ("chunk", "step"):
                self._open(f"{name}.{part}")

    def reserve(self, tokens: int, long: bool | None = None) -> None:
        """`long` picks the rotary regime; another one than before empties the window. Raises ValueError."""
        if tokens > self.capacity:
            raise ValueError(f"{tokens} tokens do not fit into a window of {self.capacity}")
        long = self.rotary.needs_long(tokens) if long is None else long
        if self.rotary.prepare(self.capacity + self.chunk, long):
            self.rewind(0)

    def rewind(self, length: int) -> None:
        """Forgets all but the first `length` tokens."""
        self._window.length = min(self.length, length)

    def prefill(
        self,
        ids: np.ndarray | list[int],
        rows: np.ndarray | list[int] | None = None,
        media: np.ndarray | None = None,
        media_rows: np.ndarray | None = None,
    ) -> np.ndarray:
        """Appends ids int64 [S]; logits float32 [R, vocab] of R ≥ 1 `rows` (default: the last). Raises Cancelled.

        `media` float32 [M, hidden] replaces the embeddings of the tokens at `media_rows` int64 [M].
        """
        tokens = np.asarray(ids, np.int64).reshape(1, -1)
        if self.length + tokens.shape[1] > self.capacity:
            raise ValueError(f"{self.length} + {tokens.shape[1]} tokens do not fit into a window of {self.capacity}")
        (embedded,) = self._run(self._open("embedding"), {"input_ids": tokens})
        if media is not None and media_rows is not None:
            embedded[0, media_rows] = media
        size = 1 if tokens.shape[1] == 1 else self.chunk
        hidden = [self._layers(embedded[:, at : at + size]) for at in range(0, tokens.shape[1], size)]
        wanted = np.concatenate(hidden)[[-1] if rows is None else list(rows)]
        head = self._open("head")
        return np.concatenate([self._run(head, {"hidden": row[None, None]})[0][0] for row in wanted])

    def step(self, token: int) -> np.ndarray:
        """Appends one token; logits float32 [vocab]. Raises Cancelled."""
        return self.prefill([token])[0]

    def _layers(self, embedded: np.ndarray) -> np.ndarray:
        """Of embeddings [1, n, hidden], n at most a chunk: hidden rows [n, hidden]."""
        count = embedded.shape[1]
        part, tokens = ("step", 1) if count == 1 else ("chunk", self.chunk)
        session = self._open(f"{self.graph}.{part}")
        padded = np.zeros((1, tokens, self.info.hidden_size), np.float32)
        padded[:, :count] = embedded
        places = slice(self.length, self.length + tokens)
        tables = {"cos": self.rotary.cos[None, None, places], "sin": self.rotary.sin[None, None, places]}
        feeds = {"embedded": padded, "mask": self._window.mask(tokens), **tables, **self._window.past}
        hidden, *new = self._run(session, feeds)
        names = [one.name for one in session.get_outputs()[1:]]
        self._window.append(dict(zip(names, new, strict=True)), count)
        return hidden[0, :count]

    def _run(self, session: ort.InferenceSession, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        with self._told("the decoder"):
            return session.run(None, feeds, self._run_options)
