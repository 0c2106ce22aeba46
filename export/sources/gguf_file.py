"""A GGUF file as a Checkpoint: Hugging Face names, shapes and row order over llama.cpp's storage."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

import numpy as np
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import dequantize

from edge.errors import CheckpointError
from export.sources.checkpoint import TensorInfo
from export.sources.gguf_config import Metadata, generation_config, model_config
from export.sources.gguf_header import DAMAGED_HINT, GgufTensor, file_stamp, read_header
from export.sources.gguf_names import ARCHITECTURES, SIDE_TENSORS, hugging_face_names
from export.sources.gguf_tokenizer import tokenizer_json

READABLE = frozenset({"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q4_K", "Q6_K"})
CHUNK_BYTES = 1 << 20  # decoding makes a few temporaries of the chunk's float32 size
_SAMPLE_BYTES = 1024


class GgufCheckpoint:
    """See `Checkpoint` for the members. Opening reads the head only; `rows` reads the rows asked for, no more.

    Raises CheckpointError for a damaged file, another architecture than ARCHITECTURES, another type than READABLE.
    """

    kind = "gguf"

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        where = str(self.path)
        self._header = read_header(self.path)
        self._meta = Metadata(self._header.metadata, where)
        stored = self._header.tensors
        architecture = self._meta.text("general.architecture") or "none"
        if architecture not in ARCHITECTURES:
            raise CheckpointError(
                f"{where} holds a model of the architecture {architecture!r}; "
                f"supported in GGUF are {' and '.join(ARCHITECTURES)}",
                "export from the Hugging Face directory of the model instead",
            )
        if "split.count" in self._header.metadata and self._meta.integer("split.count") > 1:
            raise CheckpointError(f"{where} is one part of a split model", "join it: llama-gguf-split --merge")
        for tensor in stored.values():
            if tensor.type.name not in READABLE:
                raise CheckpointError(
                    f"{where}: tensor {tensor.name!r} is stored as {tensor.type.name}, "
                    f"which cannot be read; readable are {', '.join(sorted(READABLE))}",
                    "use the F16, BF16 or Q8_0 file of the same model",
                )
        layers = self._meta.integer(f"{architecture}.block_count")
        names = hugging_face_names(stored, architecture, layers, where)
        self._weights = {name: stored[gguf_name] for name, gguf_name in names.items()}
        embedding = self._weights["model.embed_tokens.weight"]
        vocab_size = embedding.shape[0]
        side = {n: self._read(stored[n], 0, stored[n].shape[0]) for n in SIDE_TENSORS[architecture] if n in stored}
        self.config = model_config(self._meta, architecture, vocab_size, "lm_head.weight" not in self._weights, side)
        self.config["attention_bias"] = any(n.endswith("_proj.bias") and "attn" in n for n in names)
        self.config["mlp_bias"] = any(n.endswith("_proj.bias") and "mlp" in n for n in names)
        self.generation_config = generation_config(self._meta, vocab_size)
        self.tensors: Mapping[str, TensorInfo] = MappingProxyType(
            {name: TensorInfo(t.shape, t.type.name, t.bytes) for name, t in self._weights.items()}
        )
        self._check_shapes(where)

    def _check_shapes(self, where: str) -> None:
        """The shapes that row order and vocabulary depend on; the rest is the architecture's matter."""
        config = self.config
        wanted: dict[str, tuple[int, ...]] = {"embed_tokens.weight": (config["vocab_size"], config["hidden_size"])}
        for part in ("q_proj", "k_proj"):
            count = config["num_attention_heads" if part == "q_proj" else "num_key_value_heads"]
            wanted[f"{part}.weight"] = (count * config["head_dim"], config["hidden_size"])
            wanted[f"{part}.bias"] = (count * config["head_dim"],)
        for name, tensor in self._weights.items():
            shape = wanted.get(".".join(name.split(".")[-2:]), tensor.shape)
            if tensor.shape != shape:
                raise CheckpointError(
                    f"{where}: tensor {tensor.name!r} has shape {tensor.shape}, the metadata asks for {shape}",
                    DAMAGED_HINT,
                )

    def rows(self, name: str, start: int, stop: int) -> np.ndarray:
        """Rows [start, stop) of tensor `name` as float32 [stop - start, ...]. Raises CheckpointError."""
        tensor = self._weights.get(name)
        if tensor is None:
            raise CheckpointError(f"{self.path} holds no tensor {name!r}", "export a complete checkpoint")
        if not 0 <= start <= stop <= tensor.shape[0]:
            raise CheckpointError(
                f"rows {start} to {stop} of {name!r} do not exist, it has {tensor.shape[0]}",
                "this is a fault of the exporter, please report it",
            )
        if self.config["model_type"] == "llama" and (".q_proj." in name or ".k_proj." in name):
            return self._half_split_rows(tensor, start, stop)
        return self._read(tensor, start, stop)

    def _half_split_rows(self, tensor: GgufTensor, start: int, stop: int) -> np.ndarray:
        """llama.cpp rotates neighbouring rows of a head together, so its files hold row pairs (0, d/2), (1, d/2 + 1),
        … of each head of d rows; the halves are put back one after the other."""
        head = self.config["head_dim"]
        found = np.empty((stop - start, *tensor.shape[1:]), np.float32)
        for first in range(start // head * head, stop, head):
            pairs = self._read(tensor, first, first + head)
            halves = np.concatenate([pairs[0::2], pairs[1::2]])
            low, high = max(start, first), min(stop, first + head)
            found[low - start : high - start] = halves[low - first : high - first]
        return found

    def _read(self, tensor: GgufTensor, start: int, stop: int) -> np.ndarray:
        """Rows as stored. Decoded in chunks, so that memory beyond the answer does not grow with it."""
        block, block_bytes = GGML_QUANT_SIZES[tensor.type]
        width = 1
        for dim in tensor.shape[1:]:
            width *= dim
        if len(tensor.shape) == 1 and block > 1:
            raise CheckpointError(f"{self.path}: the vector {tensor.name!r} is quantised", DAMAGED_HINT)
        row_bytes = width // block * block_bytes
        step = max(1, CHUNK_BYTES // (4 * width))
        found = np.empty((stop - start, *tensor.shape[1:]), np.float32)
        try:
            with self.path.open("rb", buffering=0) as file:
                if file_stamp(file) != self._header.stamp:
                    raise CheckpointError(f"{self.path} changed while it was read", "start the export again")
                for row in range(start, stop, step):
                    count = min(step, stop - row)
                    data = _read_exactly(file, tensor.offset + row * row_bytes, count * row_bytes)
                    with np.errstate(all="ignore"):  # NaN is reported below
                        values = dequantize(np.frombuffer(data, np.uint8).reshape(count, row_bytes), tensor.type)
                    if not np.isfinite(values).all():
                        raise CheckpointError(
                            f"{self.path}: tensor {tensor.name!r} holds NaN or infinite values", DAMAGED_HINT
                        )
                    found[row - start : row - start + count] = values.reshape(count, *tensor.shape[1:])
        except OSError as error:
            raise CheckpointError(
                f"{self.path} cannot be read: {error.strerror or error}", "check the disk and the file"
            ) from error
        return found

    def tokenizer_json(self) -> bytes:
        return tokenizer_json(self._meta, self.config["model_type"], self.config["vocab_size"])

    def chat_template(self) -> str | None:
        return self._meta.text("tokenizer.chat_template")

    def fingerprint(self) -> str:
        """SHA-256 over the size, the whole head and the first KiB of every tensor (a fine-tune may share the head)."""
        digest = hashlib.sha256(str(self._header.stamp[1]).encode())
        try:
            with self.path.open("rb", buffering=0) as file:
                digest.update(_read_exactly(file, 0, self._header.head_bytes))
                for tensor in self._header.tensors.values():
                    digest.update(_read_exactly(file, tensor.offset, min(tensor.bytes, _SAMPLE_BYTES)))
        except OSError as error:
            raise CheckpointError(
                f"{self.path} cannot be read: {error.strerror or error}", "check the disk and the file"
            ) from error
        return digest.hexdigest()


def _read_exactly(file: BinaryIO, offset: int, count: int) -> bytes:
    file.seek(offset)
    data = file.read(count)
    while len(data) < count:  # an unbuffered read may stop early
        more = file.read(count - len(data))
        if not more:
            raise CheckpointError(f"{file.name} is cut off at byte {offset + len(data)}", DAMAGED_HINT)
        data += more
    return data
