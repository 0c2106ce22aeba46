"""Phi-4-multimodal: Phi-4-mini's decoder, two adapters on it, a speech encoder and a vision encoder."""

from dataclasses import dataclass

from edge.errors import CheckpointError
from edge.media.crop_sizes import CROP, PATCH_SIZES
from export.architectures.common import base_spec
from export.architectures.config import ConfigReader
from export.architectures.phi3 import fused_layer
from export.architectures.spec import DecoderSpec
from export.architectures.speech import SpeechSpec, read_speech
from export.architectures.vision import VisionSpec, read_vision
from export.sources.checkpoint import Checkpoint

MODEL_TYPE = "phi4_multimodal"
MAX_RANK = 1 << 14


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA on every Linear layer of the decoder: W + scale · B · A."""

    name: str
    rank: int
    scale: float


@dataclass(frozen=True, slots=True)
class MediaSpec:
    """What a multimodal model has beside its decoder."""

    speech: SpeechSpec
    vision: VisionSpec
    adapters: tuple[Adapter, ...]


def read(checkpoint: Checkpoint) -> DecoderSpec:
    return base_spec(checkpoint, fused_layer)


def read_media(checkpoint: Checkpoint) -> MediaSpec | None:
    """None for a model that only reads text. Raises CheckpointError naming the field that has no graph here."""
    if checkpoint.config["model_type"] != MODEL_TYPE:
        return None
    config = ConfigReader(checkpoint.config)
    adapters = []
    for name in ("speech", "vision"):
        facts = config.section(f"{name}_lora")
        rank = facts.integer("r", high=MAX_RANK)
        adapters.append(Adapter(name, rank, facts.number("lora_alpha", high=1e6) / rank))
    vision = read_vision(checkpoint)
    if vision.crop != CROP or vision.patch not in PATCH_SIZES:
        raise CheckpointError(
            f"config.json: crops of {vision.crop} pixels in patches of {vision.patch} are not what the runtime makes",
            f"vision_config must have crop_size {CROP} and a patch_size out of {PATCH_SIZES}",
        )
    return MediaSpec(read_speech(checkpoint), vision, tuple(adapters))
