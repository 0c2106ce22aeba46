"""A Hugging Face directory: config.json, *.safetensors (one file or shards with an index), tokenizer.json."""

import hashlib
import json
from pathlib import Path
from typing import Any

from edge import strict_json
from edge.errors import CheckpointError
from export.sources.safetensors_files import AGAIN, MAX_HEADER_BYTES, SafetensorsFiles

INDEX = "model.safetensors.index.json"


class SafetensorsCheckpoint(SafetensorsFiles):
    """See `Checkpoint` for the meaning of the members."""

    kind = "safetensors"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = read_json(path / "config.json")
        generation = path / "generation_config.json"
        self.generation_config = read_json(generation) if generation.exists() else {}
        super().__init__(path, self._shards())

    def _shards(self) -> list[str]:
        if (self.path / INDEX).exists():
            weight_map = read_json(self.path / INDEX).get("weight_map")
            if not isinstance(weight_map, dict) or not all(isinstance(f, str) for f in weight_map.values()):
                raise CheckpointError(f"{INDEX} has no usable weight_map", AGAIN)
            files = sorted(set(weight_map.values()))
            for file in files:
                if Path(file).name != file:
                    raise CheckpointError(f"{INDEX} points outside the checkpoint: {ascii(file)[:80]}", AGAIN)
        else:
            files = sorted(file.name for file in self.path.glob("*.safetensors"))
        if not files:
            raise CheckpointError(
                f"no *.safetensors file in {self.path}", "is this a Hugging Face checkpoint directory?"
            )
        return files

    def tokenizer_json(self) -> bytes:
        return read_bytes(self.path / "tokenizer.json")

    def chat_template(self) -> str | None:
        file = self.path / "chat_template.jinja"
        if file.is_file():
            try:
                return read_bytes(file).decode("utf-8")
            except UnicodeDecodeError:
                raise CheckpointError(f"{file.name} in {self.path} is not UTF-8", AGAIN) from None
        config = self.path / "tokenizer_config.json"
        template = read_json(config).get("chat_template") if config.is_file() else None
        return template if isinstance(template, str) else None

    def fingerprint(self) -> str:
        digest = hashlib.sha256(json.dumps(self.config, sort_keys=True).encode())
        digest.update(self.stamp())
        return digest.hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; NaN, duplicate keys and depth bombs are refused."""
    value = strict_json.loads(read_bytes(path), path.name, MAX_HEADER_BYTES, error=CheckpointError, hint=AGAIN)
    if not isinstance(value, dict):
        raise CheckpointError(f"{path.name} does not hold a JSON object", AGAIN)
    return value


def read_bytes(path: Path) -> bytes:
    """A small file of a checkpoint, whole; never a pipe or a device, which could block or not end."""
    try:
        if not path.is_file():
            raise CheckpointError(f"{path.name} is missing from {path.parent}", "is this a checkpoint directory?")
        if path.stat().st_size > MAX_HEADER_BYTES:
            raise CheckpointError(f"{path} has more than {MAX_HEADER_BYTES >> 20} MB", AGAIN)
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}", "check the disk") from None
