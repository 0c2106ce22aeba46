"""How much memory a bundle will take, and how much there is: known before anything is loaded."""

from collections.abc import Iterable
from dataclasses import dataclass, fields

from edge.bundle.bundle import Bundle
from edge.bundle.manifest import GRAPHS_OF, PREFILL, TensorGroup
from edge.errors import ResourceError
from edge.runtime.tune import tuned_graph
from edge.system_memory import available_memory

BASE = 120 << 20
"""Interpreter, numpy, onnxruntime and the other libraries."""

TOKENIZER_FACTOR = 12
"""Memory of a loaded tokenizer per byte of tokenizer.json; a vocabulary of 200k entries takes about 150 MB."""

GROUPS_OF = {
    "text": ("attention", "mlp", "head", "norms"),
    "speech": ("speech LoRA",),
    "vision": ("vision LoRA",),
    "speech_encoder": ("speech",),
    "vision_encoder": ("vision",),
}
"""Which rows of the quantisation table a graph reads, beside those of the text decoder."""

ENCODER_ACTIVATIONS = {"speech_encoder": 350 << 20, "vision_encoder": 130 << 20}
"""Largest intermediate results: a window of 500 frames in the subsampling convolutions, a crop of 1024 patches."""


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """Bytes by purpose; `total` is the predicted peak of the process."""

    base: int
    weights: int
    encoders: int
    activations: int
    kv_cache: int

    @property
    def total(self) -> int:
        return sum(getattr(self, entry.name) for entry in fields(self))


def predict_memory(bundle: Bundle, mode: str, tokens: int) -> MemoryNeed:
    """For a conversation of `tokens` in one mode."""
    manifest = bundle.manifest
    decoder, *others = GRAPHS_OF[mode]
    tuned = tuned_graph(bundle, manifest.graphs[decoder]) is not None
    wanted = {*GROUPS_OF["text"], *GROUPS_OF[decoder]}
    if decoder + PREFILL in manifest.graphs:
        wanted |= {"prefill", f"{decoder} LoRA prefill"}
    groups = manifest.quantisation
    tied = not any(group.name == "head" for group in groups)
    weights = _loaded((g for g in groups if g.name in wanted or (tied and g.name == "embedding")), tuned)
    encoders = sum(_loaded((g for g in groups if g.name in GROUPS_OF.get(name, ())), tuned) for name in others)
    activations = max((ENCODER_ACTIVATIONS.get(name, 0) for name in others), default=0)
    info = manifest.decoder
    kv_cache = tokens * 2 * info.layers * info.kv_heads * info.head_size * 4
    tokenizer = manifest.files["tokenizer.json"].size * TOKENIZER_FACTOR
    return MemoryNeed(BASE + tokenizer, weights, encoders, activations, kv_cache)


def require_memory(bundle: Bundle, mode: str, tokens: int, free: int | None = None) -> None:
    """Raises ResourceError with the numbers when less is `free` (by default: here and now) than the bundle takes."""
    free = available_memory() if free is None else free
    need = predict_memory(bundle, mode, tokens)
    if free is not None and need.total > free:
        encoders = f", {need.encoders / 1e9:.1f} encoders" if need.encoders else ""
        raise ResourceError(
            f"{bundle.manifest.name} needs about {need.total / 1e9:.1f} GB for {mode} ({need.weights / 1e9:.1f} weights"
            f"{encoders}, {need.kv_cache / 1e9:.1f} KV cache of {tokens:,} tokens), {free / 1e9:.1f} GB are free",
            "close other programs or use a smaller bundle",
        )


def _loaded(groups: Iterable[TensorGroup], tuned: bool) -> int:
    """Packed int4 blocks carry the sums of their blocks beside the scales; without a tuned copy the file's own pages
    are in memory too while they are packed."""
    total = 0
    for group in groups:
        packed = group.bytes * (1 + 1 / 16) if group.block else group.bytes
        total += int(packed if tuned else packed + group.bytes)
    return total
