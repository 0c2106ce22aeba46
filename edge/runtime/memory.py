"""How much memory a bundle will take, and how much there is: known before anything is loaded."""

from collections.abc import Iterable
from dataclasses import dataclass, fields

from edge.bundle.bundle import Bundle
from edge.bundle.contract import FOREIGN
from edge.bundle.manifest import GRAPHS_OF, PREFILL, Manifest, TensorGroup
from edge.errors import ResourceError
from edge.media.crop_sizes import CROP
from edge.runtime.decoder import CHUNK
from edge.runtime.tune import tuned_copy
from edge.system_memory import available_memory

BASE = 150 << 20
"""Interpreter, numpy, onnxruntime, the front ends and what the heap loses to fragments."""

TOKENIZER_FACTOR = 14
"""Memory of a loaded tokenizer per byte of tokenizer.json."""

PACKED = 1.05
"""int4 blocks in memory over those in the file: the kernels keep sums of blocks beside the scales."""

CHUNK_VALUES = 40
"""Intermediate values of a prompt chunk, per token and element of the hidden state."""

GROUPS_OF = {
    "text": ("attention", "mlp", "head", "norms", FOREIGN),
    "speech": ("speech LoRA",),
    "vision": ("vision LoRA",),
    "speech_encoder": ("speech",),
    "vision_encoder": ("vision",),
}
"""Which rows of the quantisation table a graph reads, beside those of the text decoder."""

SPEECH_ACTIVATIONS = (350 << 20) // 1024
"""Bytes per channel for the largest intermediate results of a window of 500 frames: those of the subsampling
convolutions, taken to have as many channels as the encoder is wide."""

VISION_ACTIVATIONS = (400 << 20) / (1024 * 1152)
"""The same for pictures: bytes per patch of a crop and element of the encoder's hidden state."""


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
    tuned = tuned_copy(bundle) is not None
    wanted = {*GROUPS_OF["text"], *GROUPS_OF[decoder]}
    if decoder + PREFILL in manifest.graphs:
        wanted |= {"prefill", f"{decoder} LoRA prefill"}
    groups = manifest.quantisation
    tied = not any(group.name == "head" for group in groups)
    weights = _loaded(g for g in groups if g.name in wanted or (tied and g.name == "embedding"))
    # a tuned bundle maps its encoders and lets them go before the decoder reads
    resident = () if tuned else others
    encoders = sum(_loaded(g for g in groups if g.name in GROUPS_OF.get(name, ())) for name in resident)
    info = manifest.decoder
    activations = max(
        CHUNK * info.hidden_size * 4 * CHUNK_VALUES, *(_encoder_activations(manifest, name) for name in resident), 0
    )
    kv_cache = tokens * info.kv_bytes_per_token
    if manifest.contract:  # logits of a whole chunk, and keys and values before and after a call
        weights += manifest.files[manifest.graphs["text"]].size  # while it is read, what lies in it is there twice
        activations += 0 if manifest.contract.rows else CHUNK * info.vocab_size * 4
        kv_cache *= 1 if manifest.contract.shared else 2
    if info.kv_bits == 8:  # a long call reads one layer in float32: as it was, and with the new rows
        kv_cache += 2 * 4 * kv_cache // info.layers
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


def _encoder_activations(manifest: Manifest, graph: str) -> int:
    speech, vision = manifest.speech, manifest.vision
    if graph == "speech_encoder" and speech:
        return SPEECH_ACTIVATIONS * speech.width
    if graph == "vision_encoder" and vision:
        return int(VISION_ACTIVATIONS * (CROP // vision.patch_size) ** 2 * vision.width)
    return 0


def _loaded(groups: Iterable[TensorGroup]) -> int:
    return sum(int(group.bytes * (PACKED if group.block else 1)) for group in groups)
