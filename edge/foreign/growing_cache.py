"""The KV cache of graphs that return all keys and values anew: what came out of a call goes into the next one."""

import numpy as np
import onnxruntime as ort

from edge.bundle.contract import Contract
from edge.bundle.manifest import DecoderInfo
from edge.errors import ResourceError
from edge.system_memory import available_memory


class GrowingCache:
    """`length` tokens of keys and values [1, kv_heads, length, head_size]. They change hands without being copied."""

    def __init__(self, info: DecoderInfo, contract: Contract) -> None:
        self._info = info
        self._names = contract.caches(info.layers)
        self.length = 0
        self._values: list[ort.OrtValue] = []
        self.rewind(0)

    def reserve(self, tokens: int) -> None:
        """Raises ResourceError when there is no memory for that many: they are there twice during a call."""
        free = available_memory()
        need = 2 * tokens * self._info.kv_bytes_per_token - self.length * self._info.kv_bytes_per_token
        if free is not None and need > free:
            raise ResourceError(
                f"the KV cache for {tokens:,} tokens needs {need / 1e9:.1f} GB, which this machine does not have",
                "use a shorter prompt or a smaller --max-tokens",
            )

    def rewind(self, length: int) -> None:
        """Forgets all but the first `length` tokens."""
        info = self._info
        if length == 0:
            dtype = np.float16 if info.kv_bits == 16 else np.float32
            empty = np.zeros((1, info.kv_heads, 0, info.head_size), dtype)
            self._values = [ort.OrtValue.ortvalue_from_numpy(empty) for _ in self._names]
        elif length < self.length:
            kept = [np.ascontiguousarray(value.numpy()[:, :, :length]) for value in self._values]
            self._values = [ort.OrtValue.ortvalue_from_numpy(value) for value in kept]
        self.length = min(self.length, length)

    def bind(self, binding: ort.IOBinding) -> None:
        """Outputs are bound last of all, in the order that `keep` expects."""
        for (past, present), value in zip(self._names, self._values, strict=True):
            binding.bind_ortvalue_input(past, value)
            binding.bind_output(present)

    def keep(self, binding: ort.IOBinding, count: int) -> None:
        """Takes the last outputs of a call that has appended `count` tokens."""
        self._values = binding.get_outputs()[-len(self._names) :]
        self.length += count
