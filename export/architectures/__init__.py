"""One file per model type: how its config and tensor names become a DecoderSpec."""

from collections.abc import Callable

from edge.errors import CheckpointError
from export.architectures import granite, llama, phi3, phi4_multimodal
from export.architectures.config import shown
from export.architectures.spec import DecoderSpec
from export.sources.checkpoint import Checkpoint

READERS: dict[str, Callable[[Checkpoint], DecoderSpec]] = {
    "phi3": phi3.read,
    "phi4_multimodal": phi4_multimodal.read,
    "llama": llama.read,
    "granite": granite.read,
}


def read_spec(checkpoint: Checkpoint) -> DecoderSpec:
    """Raises CheckpointError for a model type without a graph, or a config that makes no sense."""
    model_type = checkpoint.config.get("model_type")
    if not isinstance(model_type, str) or model_type not in READERS:
        raise CheckpointError(
            f"config.json: model_type {shown(model_type)} is not supported",
            f"supported model types: {', '.join(READERS)}",
        )
    return READERS[model_type](checkpoint)
