"""Rotary embedding frequencies from a config, for the variants our models use."""

import math

from edge.bundle.manifest import Rotary
from edge.errors import CheckpointError
from export.architectures.config import HINT, ConfigReader, shown

ABOVE = ("rope_theta", "partial_rotary_factor", "original_max_position_embeddings")


def read_rotary(config: ConfigReader, head_size: int, context_length: int) -> Rotary:
    """Understands both the older keys (rope_theta, rope_scaling) and the newer rope_parameters.

    inv_freq_i = 1 / (factor_i · theta^(2i/dim)), i < dim/2; LongRoPE multiplies cos and sin by
    sqrt(1 + ln(context/original)/ln(original)) whatever the length (arXiv 2402.13753, section 3.3).
    """
    rope = _rope_section(config)
    theta = rope.number("rope_theta", 10000.0)
    fraction = rope.number("partial_rotary_factor", 1.0, high=1.0)
    dim = int(head_size * fraction)
    if dim < 16 or dim % 16:
        raise CheckpointError(
            f"{rope.where}: {dim} of {head_size} head dimensions are rotated, the kernel needs a multiple of 16",
            "export this checkpoint with another tool, or open an issue with its config.json",
        )
    plain = [theta ** (-2 * i / dim) for i in range(dim // 2)]
    if "rope_freqs" in config.values:  # GGUF stores llama3 scaling as one divisor per frequency
        divisors = config.numbers("rope_freqs", dim // 2)
        return Rotary(dim, [f / d for f, d in zip(plain, divisors, strict=True)])

    kind = rope.values.get("rope_type", rope.values.get("type", "default"))
    match kind:
        case "default" | None:
            return Rotary(dim, plain)
        case "linear":
            factor = rope.number("factor")
            return Rotary(dim, [f / factor for f in plain])
        case "llama3":
            return Rotary(dim, _llama3(plain, rope))
        case "longrope" | "su":
            return _longrope(dim, plain, rope, context_length)
    raise CheckpointError(
        f"{rope.where}: rope type {shown(kind)} is not supported", "supported: default, linear, llama3, longrope"
    )


def _rope_section(config: ConfigReader) -> ConfigReader:
    """The rotary keys in one place; what a section does not say may stand at the top of the config."""
    new, old = config.section("rope_parameters"), config.section("rope_scaling")
    rope = new if new.values else old
    above = {key: config.values[key] for key in ABOVE if config.values.get(key) is not None}
    return ConfigReader({**above, **rope.values}, rope.where if rope.values else config.where)


def _longrope(dim: int, plain: list[float], rope: ConfigReader, context_length: int) -> Rotary:
    original = rope.integer("original_max_position_embeddings", low=2, high=1 << 27)
    ratio = rope.number("factor", context_length / original)
    default = 1.0 if ratio <= 1 else math.sqrt(1 + math.log(ratio) / math.log(original))
    return Rotary(
        dim,
        [f / s for f, s in zip(plain, rope.numbers("short_factor", dim // 2), strict=True)],
        rope.number("attention_factor", default),
        original,
        [f / s for f, s in zip(plain, rope.numbers("long_factor", dim // 2), strict=True)],
    )


def _llama3(plain: list[float], rope: ConfigReader) -> list[float]:
    """Llama 3.1: wavelengths over original/low are divided by `factor`, those under original/high are kept."""
    factor = rope.number("factor")
    low, high = rope.number("low_freq_factor"), rope.number("high_freq_factor")
    if high <= low:
        raise CheckpointError(f"{rope.where}: high_freq_factor {high} is not above low_freq_factor {low}", HINT)
    original = rope.integer("original_max_position_embeddings", high=1 << 27)
    scaled = []
    for frequency in plain:
        turns = original * frequency / (2 * math.pi)
        keep = min(max((turns - low) / (high - low), 0.0), 1.0)
        scaled.append(frequency * (keep + (1 - keep) / factor))
    return scaled
