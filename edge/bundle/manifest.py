"""bundle.json: what a bundle says of itself. Read with limits, because it may come from a stranger."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from typing import Any

from edge.bundle.contract import Contract
from edge.bundle.names import name_fault, path_fault, same_when_folded
from edge.bundle.typed_json import build, parse, refuse
from edge.errors import BundleError
from edge.media.crop_sizes import MAX_CROPS, MOST_CROPS, PATCH, PATCH_SIZES

SCHEMA = 1
CONTRACT_SCHEMA = 2
"""Of bundles whose decoder has another exporter's contract, which older versions could not feed."""
MANIFEST = "bundle.json"
MAX_MANIFEST_BYTES = 4 << 20
MAX_FILES = 1000
_UNSEALED = "0" * 64
_SHA256 = re.compile(r"[0-9a-f]{64}")

GRAPHS_OF = {
    "text": ("text",),
    "speech": ("speech", "speech_encoder", "speech_projector"),
    "vision": ("vision", "vision_encoder", "vision_projector"),
    "vision_speech": ("vision", "vision_encoder", "vision_projector", "speech_encoder", "vision_speech_projector"),
}
"""The graphs a mode needs, its decoder first. Graphs over the same weights are several views of one file."""

FLOAT_CACHE = 32
KV_BITS = (8, FLOAT_CACHE)

PREFILL = ".prefill"
"""Suffix of an optional second decoder graph that reads prompts faster."""


FIXED = "npu."
"""Prefix of graphs of fixed shapes for a neural processor, over the same weights."""


@dataclass(frozen=True, slots=True)
class Rotary:
    """Rotary embedding: cos/sin(position * inv_freq) * attention_factor over the first `dim` head dims.

    LongRoPE models have `long_inv_freq`, which replaces `inv_freq` for every position once the sequence is
    longer than `original_context`.
    """

    dim: int
    inv_freq: list[float]
    attention_factor: float = 1.0
    original_context: int = 0
    long_inv_freq: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class DecoderInfo:
    """Shapes the runtime needs to allocate and bind the KV cache [1, kv_heads, tokens, head_size].

    `kv_bits` is 32 for float32, or 8 for int8 in steps that the graphs know.
    """

    layers: int
    kv_heads: int
    head_size: int
    hidden_size: int
    vocab_size: int
    context_length: int
    rotary: Rotary
    kv_bits: int = FLOAT_CACHE

    @property
    def kv_bytes_per_token(self) -> int:
        return 2 * self.layers * self.kv_heads * self.head_size * self.kv_bits // 8


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """An encoder whose output stands in the prompt, one placeholder `token` for each embedding.

    `width` is that of the encoder's frames or patches, before the projector.
    """

    token: int
    width: int


@dataclass(frozen=True, slots=True)
class VisionInfo(EncoderInfo):
    """Crops are cut into patches of `patch_size` pixels; `max_crops` is how many the model was trained with."""

    patch_size: int = PATCH
    max_crops: int = MAX_CROPS


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """`stop` ends an answer; ids from `first_unused` on are padding rows of the embedding, never sampled."""

    stop: list[int]
    bos: int | None = None
    first_unused: int | None = None


@dataclass(frozen=True, slots=True)
class ChatInfo:
    """`format` is phi4, chatml, granite, or jinja (then chat_template.jinja is in the bundle)."""

    format: str
    default_system: str = ""


@dataclass(frozen=True, slots=True)
class TensorGroup:
    """One line of the quantisation table; `bits` 32 is unquantised, `block` 0 then; activations as multiplied."""

    name: str
    bits: int
    block: int
    symmetric: bool
    tensors: int
    bytes: int
    activation_bits: int = 8


@dataclass(frozen=True, slots=True)
class FileInfo:
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    name: str
    architecture: str
    modes: list[str]
    graphs: dict[str, str]
    decoder: DecoderInfo
    tokens: TokenInfo
    chat: ChatInfo
    quantisation: list[TensorGroup]
    provenance: dict[str, Any]
    files: dict[str, FileInfo]
    speech: EncoderInfo | None = None
    vision: VisionInfo | None = None
    schema: int = SCHEMA
    contract: Contract | None = None
    """Of a decoder that another exporter has traced; None for ours."""

    def to_json(self) -> bytes:
        """bundle.json. Its first key, `seal`, is the SHA-256 of these bytes with 64 zeros in its own place,
        so that a damaged manifest is found although no other file holds its hash."""
        document = {"seal": _UNSEALED} | asdict(self)
        if self.decoder.kv_bits == FLOAT_CACHE:  # older versions know no other, and refuse the key
            del document["decoder"]["kv_bits"]
        if self.contract is None:
            del document["contract"]
        data = (json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
        return data.replace(_UNSEALED.encode(), hashlib.sha256(data).hexdigest().encode(), 1)

    @classmethod
    def from_json(cls, data: bytes) -> "Manifest":
        """The manifest in `data`; unknown keys are let pass at the top level only, for later versions.

        Raises BundleError that names the field: not JSON, another schema, a broken seal, a wrong type, a
        number out of range, or a file name that is not plain.
        """
        value = parse(data, MANIFEST, MAX_MANIFEST_BYTES)
        if not isinstance(value, dict) or type(value.get("schema")) is not int:
            refuse(f"{MANIFEST} does not say its schema version, so it is not a phi-edge bundle.")
        if value["schema"] > CONTRACT_SCHEMA:
            raise BundleError(
                f"The bundle was made by a newer phi-edge: schema {value['schema']}, this one reads {CONTRACT_SCHEMA}.",
                "Update phi-edge: pip install -U phi-edge",
            )
        if value["schema"] < 1:
            refuse(f"{MANIFEST}.schema is {value['schema']}, but the first version is 1.")
        _check_seal(data, value.get("seal"))
        manifest = build(cls, value, MANIFEST, extra_keys=True)
        _check_model(manifest)
        _check_files(manifest)
        return manifest


def _check_seal(data: bytes, seal: object) -> None:
    if not isinstance(seal, str) or not _SHA256.fullmatch(seal):
        refuse(f"{MANIFEST} has no seal of 64 hexadecimal digits.")
    if hashlib.sha256(data.replace(seal.encode(), _UNSEALED.encode(), 1)).hexdigest() != seal:
        refuse(f"{MANIFEST} was changed or damaged after it was written: its seal does not match.")


def _in_range(where: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        refuse(f"{MANIFEST}.{where} is {value}, outside {low} to {high}.")


def _check_model(m: Manifest) -> None:
    decoder, rotary = m.decoder, m.decoder.rotary
    _in_range("decoder.layers", decoder.layers, 1, 1024)
    _in_range("decoder.kv_heads", decoder.kv_heads, 1, 4096)
    _in_range("decoder.head_size", decoder.head_size, 1, 8192)
    _in_range("decoder.hidden_size", decoder.hidden_size, 1, 1 << 20)
    _in_range("decoder.vocab_size", decoder.vocab_size, 1, 1 << 24)
    _in_range("decoder.context_length", decoder.context_length, 1, 1 << 27)
    if decoder.kv_bits not in KV_BITS:
        refuse(f"{MANIFEST}.decoder.kv_bits is {decoder.kv_bits}, not one of {KV_BITS}.")
    _in_range("decoder.rotary.dim", rotary.dim, 0, decoder.head_size)
    _in_range("decoder.rotary.attention_factor", rotary.attention_factor, 1e-3, 1e3)
    _in_range("decoder.rotary.original_context", rotary.original_context, 0, 1 << 27)
    for name, frequencies in (("inv_freq", rotary.inv_freq), ("long_inv_freq", rotary.long_inv_freq)):
        optional = name == "long_inv_freq" and not frequencies
        if not optional and 2 * len(frequencies) != rotary.dim:
            refuse(f"{MANIFEST}.decoder.rotary.{name} has {len(frequencies)} numbers, not {rotary.dim} / 2.")
        for i, frequency in enumerate(frequencies):
            _in_range(f"decoder.rotary.{name}[{i}]", frequency, 0, 1e3)
    if rotary.long_inv_freq and not rotary.original_context:
        refuse(f"{MANIFEST}.decoder.rotary.original_context is 0 although long_inv_freq is given.")

    if not 1 <= len(m.tokens.stop) <= 64:
        refuse(f"{MANIFEST}.tokens.stop must hold 1 to 64 ids.")
    for i, token in enumerate(m.tokens.stop):
        _in_range(f"tokens.stop[{i}]", token, 0, decoder.vocab_size - 1)
    if m.tokens.bos is not None:
        _in_range("tokens.bos", m.tokens.bos, 0, decoder.vocab_size - 1)
    if m.tokens.first_unused is not None:
        _in_range("tokens.first_unused", m.tokens.first_unused, 1, decoder.vocab_size)

    for i, group in enumerate(m.quantisation):
        _in_range(f"quantisation[{i}].bits", group.bits, 1, 32)
        for name in ("block", "tensors", "bytes"):
            _in_range(f"quantisation[{i}].{name}", getattr(group, name), 0, 1 << 50)

    if m.contract and (fault := m.contract.fault()):
        refuse(f"{MANIFEST}.contract: {fault}.")
    for name, encoder in (("speech", m.speech), ("vision", m.vision)):
        if encoder:
            _in_range(f"{name}.token", encoder.token, 0, decoder.vocab_size - 1)
            _in_range(f"{name}.width", encoder.width, 1, 1 << 20)
    if m.vision:
        if m.vision.patch_size not in PATCH_SIZES:
            refuse(f"{MANIFEST}.vision.patch_size is {m.vision.patch_size}, not one of {PATCH_SIZES}.")
        _in_range("vision.max_crops", m.vision.max_crops, 1, MOST_CROPS)
    for mode in m.modes:
        if missing := [graph for graph in GRAPHS_OF.get(mode, ()) if graph not in m.graphs]:
            refuse(f"{MANIFEST}.graphs lacks {missing[0]}, which the mode {mode} needs.")


def _check_files(m: Manifest) -> None:
    if fault := name_fault(m.name):
        refuse(f"{MANIFEST}.name {ascii(m.name)[:120]} {fault}.")
    if not m.modes or not m.graphs:
        refuse(f"{MANIFEST} lists no {'graphs' if m.modes else 'modes'}.")
    if len(m.files) > MAX_FILES:
        refuse(f"{MANIFEST} lists {len(m.files)} files, more than {MAX_FILES}.")
    for name, info in m.files.items():
        if fault := path_fault(name):
            refuse(f"{MANIFEST}.files: the name {ascii(name)[:120]} {fault}.")
        _in_range(f"files[{name}].size", info.size, 0, 1 << 50)
        if not _SHA256.fullmatch(info.sha256):
            refuse(f"{MANIFEST}.files[{name}].sha256 is not 64 hexadecimal digits.")
    if clash := same_when_folded([*m.files, MANIFEST]):
        refuse(f"{MANIFEST}.files: {clash[0]} and {clash[1]} are the same name on some file systems.")
    for graph, name in m.graphs.items():
        if name not in m.files or not name.endswith(".onnx"):
            refuse(f"{MANIFEST}.graphs[{ascii(graph)[:80]}] must be an .onnx file that `files` lists.")
    if m.chat.format == "jinja" and "chat_template.jinja" not in m.files:
        refuse(f"{MANIFEST}.chat.format is jinja, but chat_template.jinja is not in `files`.")
