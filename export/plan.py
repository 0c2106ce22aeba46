"""Everything an export will do, decided and checked before the first byte is written."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from edge.bundle.manifest import TensorGroup
from edge.errors import CheckpointError, ResourceError
from export.architectures import read_spec
from export.architectures.lora import adapter_weights
from export.architectures.phi4_multimodal import MediaSpec, read_media
from export.architectures.spec import DecoderSpec
from export.architectures.speech import speech_weights
from export.architectures.vision import vision_weights
from export.architectures.weights import decoder_weights, fast_prefill_weights
from export.calibration.space import ENCODERS
from export.calibration.texts import digest
from export.graphs import GraphPlan, plan_graphs
from export.manifest import check_manifest
from export.npu.graphs import Build, plan_fixed_graphs
from export.options import ExportOptions
from export.precision.matrix_costs import TOKENS
from export.sources import open_checkpoint
from export.sources.checkpoint import Checkpoint
from export.texts import Texts, read_texts
from export.weights.encode import SLAB_WEIGHTS, SLABS_IN_FLIGHT
from export.weights.layout import PlacedWeight, place
from quant.formats import ChannelFormat, FloatFormat, WeightFormat

VERSION = 4
"""Raised when the same plan would produce other bytes, so that an older partial export is not resumed."""

BASE_RAM = 200 << 20
"""Interpreter, numpy, onnx and graph, measured 160 MB."""

CALIBRATION_RAM = 150 << 20
"""Tokenizer, encoders of a small model, and what flows through a layer for one sequence."""

ENCODERS_RAM = 300 << 20
"""Tokenizer, libraries and heap as a limit counts them, and what one crop takes in an encoder: measured 230 MB."""


@dataclass(frozen=True, slots=True)
class ExportPlan:
    checkpoint: Checkpoint
    spec: DecoderSpec
    media: MediaSpec | None
    options: ExportOptions
    weights: list[PlacedWeight]
    aliases: dict[str, str]
    texts: Texts

    @property
    def graphs(self) -> list[GraphPlan]:
        return plan_graphs(self.spec, self.media, self.options.fast_prefill, {})

    @property
    def fixed_graphs(self) -> dict[str, Build]:
        fixed = self.options.fixed
        return plan_fixed_graphs(self.spec, self.media, fixed) if fixed else {}

    @property
    def by_role(self) -> dict[str, PlacedWeight]:
        named = {weight.source.name: weight for weight in self.weights}
        return named | {role: named[name] for role, name in self.aliases.items()}

    @property
    def solved(self) -> list[PlacedWeight]:
        """Those that are quantised with the help of activations, if the options ask for it."""
        groups = ("attention", "mlp", "speech LoRA", "vision LoRA") if self.options.calibrated else ()
        return [weight for weight in self.weights if weight.source.group in groups]

    @property
    def measured(self) -> list[PlacedWeight]:
        """Matrices of layers and adapters that are compared with the checkpoint once they are written, if the options
        ask for it: calibration has measured already, all but an int8 KV cache, and floats need not be."""
        if self.options.int8_cache:
            return self.solved
        wanted = self.options.fidelity and not self.options.calibrated
        if not wanted or all(isinstance(weight.source.format, FloatFormat) for weight in self.weights):
            return []
        groups = ("attention", "mlp", "speech LoRA", "vision LoRA")
        return [one for one in self.weights if one.source.group in groups or one.source.group.endswith("prefill")]

    @property
    def weights_bytes(self) -> int:
        return self.weights[-1].sections[-1].end

    @property
    def source_bytes(self) -> int:
        infos = self.checkpoint.tensors
        return sum(
            infos[part.tensor].bytes * part.rows // max(1, infos[part.tensor].shape[0])
            for weight in self.weights
            for part in weight.source.parts
        )

    @property
    def unused(self) -> list[str]:
        """Tensors of the checkpoint that no part of the bundle is made of."""
        used = {part.tensor for weight in self.weights for part in weight.source.parts}
        return sorted(set(self.checkpoint.tensors) - used)

    @property
    def peak_ram(self) -> int:
        """Predicted peak memory: slabs with their temporaries, scales of the largest weight, a transposed matrix."""
        slabs = SLABS_IN_FLIGHT * SLAB_WEIGHTS * 16
        scales = max(weight.bytes - weight.values.length for weight in self.weights)
        transposed = max(
            (w.values.length for w in self.weights if isinstance(w.source.format, ChannelFormat)), default=0
        )
        learned = self.encoders_ram if self.solved else 0
        return BASE_RAM + max(slabs + 2 * scales + transposed, self._calibration_ram, learned, self._measurement_ram)

    @property
    def encoders_ram(self) -> int:
        """Beside BASE_RAM, while recordings and pictures are encoded by one encoder at a time, 0 without media: its
        weights in float32, which are mapped, and as they are stored, which packing leaves once more in the heap."""
        sizes = dict.fromkeys(ENCODERS, 0)
        for weight in self.weights:
            if weight.source.group in sizes:
                sizes[weight.source.group] += 4 * weight.source.rows * max(1, weight.source.columns) + weight.bytes
        return ENCODERS_RAM + max(sizes.values()) if self.media else 0

    @property
    def media_ram(self) -> int:
        """Predicted peak memory of measuring what becomes of recordings and pictures."""
        return BASE_RAM + self.encoders_ram

    @property
    def _calibration_ram(self) -> int:
        """Sums over a matrix's inputs, their factor and its copies in float64; a matrix in float32 and its errors; what
        goes into the matrices of a layer and comes out of them, and its gradients, while formats are chosen."""
        sizes = [(weight.source.rows, weight.source.columns) for weight in self.solved]
        layer = [weight.source for weight in self.solved if weight.source.name.startswith("layers.0.")]
        tokens = 0 if self.options.budget is None else TOKENS * (3 if self.media else 1)
        chosen = 4 * tokens * sum(source.rows + source.columns for source in layer)
        return max((CALIBRATION_RAM + chosen + 24 * k**2 + 12 * n * k for n, k in sizes), default=0)

    @property
    def _measurement_ram(self) -> int:
        """A matrix in float32, and what goes into it and comes out of it for one sequence."""
        sizes = [(weight.source.rows, weight.source.columns) for weight in self.measured]
        return max((CALIBRATION_RAM + 4 * n * k + 8 * 1024 * (n + k) for n, k in sizes), default=0)

    def refined(self, formats: Mapping[str, WeightFormat]) -> "ExportPlan":
        """The same with the formats that were chosen for single matrices."""
        return plan_export(self.checkpoint.path, self.options, formats)

    def groups(self) -> list[TensorGroup]:
        """The quantisation table, one row per group and format."""

        def kind(weight: PlacedWeight) -> tuple[str, str]:
            return weight.source.group, repr(weight.source.format)

        rows = []
        for (group, _), members in groupby(sorted(self.weights, key=kind), key=kind):
            weights = list(members)
            fmt = weights[0].source.format
            size = sum(weight.bytes for weight in weights)
            rows.append(TensorGroup(group, fmt.bits, fmt.block, fmt.symmetric, len(weights), size, fmt.activation_bits))
        return rows

    def fingerprint(self) -> str:
        formats = [(w.source.name, repr(w.source.format), w.values.offset) for w in self.weights]
        calibrated = self.options.named, self.options.budget, digest(self.options.calibration), self.options.kv_bits
        content = json.dumps([VERSION, self.checkpoint.fingerprint(), formats, calibrated])
        return hashlib.sha256(content.encode()).hexdigest()


def plan_export(source: Path, options: ExportOptions, formats: Mapping[str, WeightFormat] | None = None) -> ExportPlan:
    """Reads configs and headers only. `formats` are those of single matrices (layers.3.down), once they are chosen.
    Raises CheckpointError, UsageError or ResourceError (--max-ram too small)."""
    recipe = options.recipe()
    recipe = replace(recipe, raised={**recipe.raised, **(formats or {})})
    checkpoint = open_checkpoint(source)
    spec = read_spec(checkpoint)
    media = read_media(checkpoint)
    tensors, fast = checkpoint.tensors, options.fast_prefill
    sources, aliases = decoder_weights(spec, tensors, recipe)
    if fast:
        sources += fast_prefill_weights(spec, tensors)
    if media:
        for adapter in media.adapters:
            sources += adapter_weights(spec, adapter, tensors, recipe.body, fast)
        sources += speech_weights(media.speech, tensors, recipe.encoder)
        sources += vision_weights(media.vision, tensors, recipe.encoder)
    plan = ExportPlan(checkpoint, spec, media, options, place(sources), aliases, read_texts(checkpoint, spec))
    for weight in sources:
        for part in weight.parts:
            if checkpoint.rows(part.tensor, 0, 1).size == 0:
                raise CheckpointError(f"tensor {part.tensor} is empty", "download the checkpoint again")
    if options.fixed:
        options.fixed.check(spec)
    check_manifest(plan)
    if options.max_ram and plan.peak_ram > options.max_ram:
        needed = -(-plan.peak_ram // 10**6)
        lighter = "export with --no-fidelity, or " if plan.measured and not options.calibrated else ""
        raise ResourceError(
            f"this export needs about {needed} MB of memory, --max-ram allows {options.max_ram // 10**6} MB",
            f"{lighter}raise it to --max-ram {needed}MB",
        )
    return plan
