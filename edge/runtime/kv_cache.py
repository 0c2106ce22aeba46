"""Key/value buffers that the attention kernels append to in place."""

import numpy as np
import onnxruntime as ort

from edge.bundle.manifest import DecoderInfo
from edge.errors import ResourceError
from edge.system_memory import available_memory

GRANULE = 256
"""Capacity is rounded up to this many tokens; untouched pages of a buffer cost no memory."""


class KVCache:
    """Per layer a key and a value buffer [1, kv_heads, capacity, head_size], past and present at once.

    float32, or int8 as the graphs round it; float16 in graphs of other exporters.
    """

    def __init__(self, info: DecoderInfo) -> None:
        self._info = info
        self.capacity = 0
        self.buffers: dict[str, ort.OrtValue] = {}

    def reserve(self, tokens: int, used: int) -> bool:
        """Room for `tokens`, keeping the first `used`. True if the buffers are new and must be bound again."""
        if tokens <= self.capacity:
            return False
        info = self._info
        capacity = -(-tokens // GRANULE) * GRANULE
        free = available_memory()
        if free is not None and (capacity - self.capacity) * info.kv_bytes_per_token > free:
            raise self._refusal(capacity)  # overcommitted memory would not fail here, but kill the process later
        dtype = {8: np.int8, 16: np.float16}.get(info.kv_bits, np.float32)
        try:
            for layer in range(info.layers):
                for kind in ("key", "value"):
                    name = f"{layer}.{kind}"
                    fresh = np.zeros((1, info.kv_heads, capacity, info.head_size), dtype)
                    if used:
                        fresh[:, :, :used] = self.buffers[name].numpy()[:, :, :used]
                    self.buffers[name] = ort.OrtValue.ortvalue_from_numpy(fresh)
        except MemoryError:
            self.buffers.clear()
            self.capacity = 0
            raise self._refusal(capacity) from None
        self.capacity = capacity
        return True

    def _refusal(self, capacity: int) -> ResourceError:
        need = capacity * self._info.kv_bytes_per_token / 1e9
        return ResourceError(
            f"the KV cache for {capacity:,} tokens needs {need:.1f} GB, which this machine does not have",
            "use a shorter prompt or a smaller --max-tokens",
        )
