"""Phi-4-multimodal as one Checkpoint, from either of its two layouts. No code of a checkpoint is ever run.

The original layout (model_type phi4mm) holds both LoRAs in its shards; the folders speech-lora/ and vision-lora/ beside
them repeat those weights and are not read. In the native layout (phi4_multimodal) the same folders are PEFT adapters
and the only place where the LoRAs are.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from edge.errors import CheckpointError
from export.architectures.config import ConfigReader
from export.sources.checkpoint import TensorInfo
from export.sources.peft_config import lora_facts, read_adapter_config
from export.sources.phi4_multimodal_config import NATIVE, ORIGINAL, normalised
from export.sources.phi4_multimodal_names import ADAPTERS, MATRICES, from_original, from_peft, printable
from export.sources.processor_config import read_dynamic_hd
from export.sources.safetensors_dir import SafetensorsCheckpoint
from export.sources.safetensors_files import SafetensorsFiles

MODEL_TYPES = (ORIGINAL, NATIVE)
ADAPTER_WEIGHTS = "adapter_model.safetensors"


class Phi4MultimodalCheckpoint:
    """See `Checkpoint` for the members; names as in `phi4_multimodal_names`, config as in `phi4_multimodal_config`.

    Raises CheckpointError for a missing or unsupported adapter, or one whose ranks are not those of its config. Other
    missing tensors are found by whoever needs them.
    """

    kind = "safetensors"

    def __init__(self, directory: SafetensorsCheckpoint) -> None:
        self._directory = directory
        self.path = directory.path
        self.generation_config = directory.generation_config
        self._stored: dict[str, tuple[SafetensorsFiles, str]] = {}
        self._adapters: list[SafetensorsFiles] = []
        native = directory.config["model_type"] == NATIVE
        for name in directory.tensors:
            self._add(name if native else from_original(name), directory, name)
        loras = {adapter: self._read_adapter(adapter, native) for adapter in ADAPTERS}
        self.tensors: Mapping[str, TensorInfo] = {
            name: files.tensors[stored] for name, (files, stored) in self._stored.items()
        }
        for adapter, facts in loras.items():
            self._check_adapter(adapter, facts["r"])
        self.config = normalised(directory.config, self.tensors, loras, read_dynamic_hd(self.path))

    def _add(self, name: str, files: SafetensorsFiles, stored: str) -> None:
        if name in self._stored:
            both = f"{printable(self._stored[name][1])} and {printable(stored)}"
            raise CheckpointError(f"tensors {both} are the same weight", "remove the one not needed")
        self._stored[name] = files, stored

    def _read_adapter(self, adapter: str, native: bool) -> dict[str, Any]:
        """Rank and scale of an adapter; adds its tensors when they are not in the shards."""
        if not native:
            return lora_facts(ConfigReader(self._directory.config).section(f"{adapter}_lora"))
        folder = f"{adapter}-lora"
        for needed in (folder, f"{folder}/adapter_config.json", f"{folder}/{ADAPTER_WEIGHTS}"):
            if not (self.path / needed).exists():
                raise CheckpointError(
                    f"{needed} is missing from {self.path}",
                    "download the whole checkpoint, with the folders speech-lora and vision-lora",
                )
        facts = read_adapter_config(self.path / folder)
        files = SafetensorsFiles(self.path, [f"{folder}/{ADAPTER_WEIGHTS}"])
        self._adapters.append(files)
        for stored in files.tensors:
            self._add(from_peft(stored, adapter), files, stored)
        return facts

    def _check_adapter(self, adapter: str, rank: int) -> None:
        prefix = f"lora.{adapter}."
        found = {name: info.shape for name, info in self.tensors.items() if name.startswith(prefix)}
        matrices = {name.split(".")[-2] for name in found}
        if absent := [matrix for matrix in MATRICES.values() if matrix not in matrices]:
            raise CheckpointError(
                f"the {adapter} LoRA in {self.path} has no weights for {', '.join(absent)}",
                f"all of {', '.join(MATRICES.values())} need one: is this checkpoint complete?",
            )
        for name, shape in found.items():
            if len(shape) != 2 or shape[0 if name.endswith(".A") else 1] != rank:
                raise CheckpointError(
                    f"tensor {self._stored[name][1]} of the {adapter} LoRA has shape {shape}, its config says r={rank}",
                    "weights and config belong to different adapters: download both again",
                )

    def rows(self, name: str, start: int, stop: int) -> np.ndarray:
        files, stored = self._stored[name]
        return files.rows(stored, start, stop)

    def tokenizer_json(self) -> bytes:
        return self._directory.tokenizer_json()

    def chat_template(self) -> str | None:
        return self._directory.chat_template()

    def fingerprint(self) -> str:
        digest = hashlib.sha256(self._directory.fingerprint().encode())
        digest.update(json.dumps(self.config, sort_keys=True).encode())
        for files in self._adapters:
            digest.update(files.stamp())
        return digest.hexdigest()
