"""Granite: Llama with four scalar multipliers."""

from export.architectures.common import base_spec, split_layer
from export.architectures.config import ConfigReader
from export.architectures.spec import DecoderSpec
from export.sources.checkpoint import Checkpoint


def read(checkpoint: Checkpoint) -> DecoderSpec:
    config = ConfigReader(checkpoint.config)
    return base_spec(
        checkpoint,
        split_layer,
        embedding_multiplier=config.number("embedding_multiplier", 1.0),
        attention_scale=config.number("attention_multiplier", 1.0),
        residual_multiplier=config.number("residual_multiplier", 1.0),
        logits_divisor=config.number("logits_scaling", 1.0),
    )
