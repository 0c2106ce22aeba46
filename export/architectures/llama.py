"""Llama and everything shaped like it (SmolLM2)."""

from export.architectures.common import base_spec, split_layer
from export.architectures.spec import DecoderSpec
from export.sources.checkpoint import Checkpoint


def read(checkpoint: Checkpoint) -> DecoderSpec:
    return base_spec(checkpoint, split_layer)
