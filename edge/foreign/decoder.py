"""A decoder that another exporter traced, with the same calls as `edge.runtime.decoder.Decoder`."""

import numpy as np
import onnxruntime as ort

from edge.bundle.bundle import Bundle
from edge.bundle.contract import Contract
from edge.bundle.manifest import DecoderInfo
from edge.errors import BundleError, EdgeError
from edge.foreign.growing_cache import GrowingCache
from edge.runtime.decoder import TEXT
from edge.runtime.heap import heap_for, trim_heap
from edge.runtime.huge_pages import Promotion
from edge.runtime.kv_cache import KVCache
from edge.runtime.rotary import RotaryTables
from edge.runtime.session import open_session, session_options
from edge.runtime.stoppable import Stoppable

DTYPES = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}


class ForeignDecoder(Stoppable):
    """`length` tokens are in the KV cache. Text only. Not thread-safe, except for `cancel`."""

    graph = TEXT

    def __init__(self, session: ort.InferenceSession, info: DecoderInfo, contract: Contract) -> None:
        self.info = info
        self.rotary = RotaryTables(info.rotary)
        self.length = 0
        self._session, self._contract = session, contract
        self._types = {one.name: DTYPES.get(one.type, np.int64) for one in session.get_inputs()}
        self._buffers = KVCache(info) if contract.shared else None
        self._growing = None if contract.shared else GrowingCache(info, contract)
        super().__init__()

    @classmethod
    def load(cls, bundle: Bundle, threads: int = 0, graph: str = TEXT) -> "ForeignDecoder":
        """Raises BundleError, ResourceError."""
        manifest = bundle.manifest
        assert manifest.contract
        try:
            session = open_session(bundle.file(manifest.graphs[graph]), session_options(threads))
        except BundleError as error:
            raise BundleError(str(error), "does it run in the runtime that it was made for?") from None
        trim_heap()
        Promotion().start()
        return cls(session, manifest.decoder, manifest.contract)

    def select(self, name: str) -> None:
        assert name == TEXT, "bundles of this kind have no other mode"

    def reserve(self, tokens: int, long: bool | None = None) -> None:
        """Room for a sequence of `tokens`. There is one rotary regime only. Raises ResourceError."""
        if self._growing:
            self._growing.reserve(tokens)
        elif self._buffers:
            kept, self.length = self.length, 0  # also what remains when there is no memory for new buffers
            self._buffers.reserve(tokens, kept)
            self.length = kept

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

        Raises Cancelled, and EdgeError for rows that the graph does not give. `reserve` must have made room.
        """
        tokens = np.asarray(ids).reshape(1, -1)
        count = tokens.shape[1]
        wanted = np.array([count - 1], np.int64) if rows is None else np.asarray(rows, np.int64)
        logits = self._run(self._inputs(tokens, wanted, all_rows=rows is not None), count)
        if self._contract.rows:
            return logits
        if len(logits) != count and (wanted != count - 1).any():
            raise EdgeError("this graph gives the logits of the last token only", "use another export of the model")
        return logits[wanted - count]

    def step(self, token: int) -> np.ndarray:
        """Appends one token; logits float32 [vocab]. Raises Cancelled."""
        return self.prefill([token])[0]

    def _inputs(self, tokens: np.ndarray, rows: np.ndarray, all_rows: bool) -> dict[str, np.ndarray]:
        names, end = self._contract, self.length + tokens.shape[1]
        given = {
            names.tokens: tokens,
            names.mask: np.ones((1, end)),
            names.positions: np.arange(self.length, end)[None],
            names.kept: np.array(0 if all_rows else 1),
            names.rows: rows,
        }
        return {
            name: np.asarray(array, self._types.get(name, np.int64), order="C") for name, array in given.items() if name
        }

    def _run(self, inputs: dict[str, np.ndarray], count: int) -> np.ndarray:
        """Logits float32 [1 or `count` or as many as asked for, vocab]."""
        binding = self._session.io_binding()
        for name, array in inputs.items():
            binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(array))
        binding.bind_output(self._contract.logits)
        if self._growing:
            self._growing.rewind(self.length)
            self._growing.bind(binding)
        elif self._buffers:
            if self.length + count > self._buffers.capacity:
                raise ValueError(f"{self.length} + {count} tokens exceed the reserved {self._buffers.capacity}")
            buffers = self._buffers.buffers.values()
            for (past, present), buffer in zip(self._contract.caches(self.info.layers), buffers, strict=True):
                binding.bind_ortvalue_input(past, buffer)
                binding.bind_ortvalue_output(present, buffer)
        with self._told("the decoder"), heap_for(count):
            self._session.run_with_iobinding(binding, self._run_options)
        if self._growing:
            self._growing.keep(binding, count)
        self.length += count
        logits = binding.get_outputs()[0].numpy()
        return logits.reshape(-1, logits.shape[-1]).astype(np.float32, copy=False)
