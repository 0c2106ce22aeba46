"""Checkpoint file formats."""

from pathlib import Path

from edge.errors import CheckpointError
from export.sources.checkpoint import Checkpoint


def open_checkpoint(path: Path) -> Checkpoint:
    """A Hugging Face directory or a GGUF file. Raises CheckpointError when it is neither."""
    if path.is_dir():
        from export.sources.phi4_multimodal import MODEL_TYPES, Phi4MultimodalCheckpoint
        from export.sources.safetensors_dir import SafetensorsCheckpoint

        directory = SafetensorsCheckpoint(path)
        return Phi4MultimodalCheckpoint(directory) if directory.config.get("model_type") in MODEL_TYPES else directory
    if not path.exists():
        raise CheckpointError(f"{path} does not exist", "give a Hugging Face directory or a .gguf file")
    if not path.is_file():
        raise CheckpointError(
            f"{path} is neither a directory nor a regular file", "give a Hugging Face directory or a .gguf file"
        )
    if path.suffix == ".safetensors":
        raise CheckpointError(
            f"{path.name} alone is not a checkpoint: config.json and tokenizer.json are needed",
            f"try  edge export {path.parent}",
        )
    from export.sources.gguf_file import GgufCheckpoint

    return GgufCheckpoint(path)
