"""What an exporter needs from a checkpoint, whatever its file format."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Shape in row-major order ([out_features, in_features] for a Linear), and the stored type's name."""

    shape: tuple[int, ...]
    dtype: str
    bytes: int


class Tensors(Protocol):
    """Tensors are read in row ranges, so that the largest matrix never has to be in memory whole."""

    tensors: Mapping[str, TensorInfo]
    """Keyed by Hugging Face tensor names, whatever the file calls them."""

    def rows(self, name: str, start: int, stop: int) -> np.ndarray:
        """Rows [start, stop) of tensor `name` as float32 [stop - start, ...]. Raises CheckpointError."""
        ...


class Checkpoint(Tensors, Protocol):
    """Tensors with the config and texts of a model."""

    path: Path
    kind: str
    """'safetensors' or 'gguf'."""

    config: dict[str, Any]
    """Hugging Face style config.json contents; a GGUF source translates its metadata into this form."""

    generation_config: dict[str, Any]

    def tokenizer_json(self) -> bytes:
        """The tokenizer in the `tokenizers` library's JSON form."""
        ...

    def chat_template(self) -> str | None:
        """The checkpoint's own Jinja chat template, if it has one."""
        ...

    def fingerprint(self) -> str:
        """SHA-256 over headers, sizes and names: changes when the checkpoint does, cheap to compute."""
        ...
