"""bundle.json for a plan."""

import hashlib
import json
from typing import TYPE_CHECKING

from edge import __version__
from edge.bundle.manifest import GRAPHS_OF, DecoderInfo, EncoderInfo, FileInfo, Manifest, VisionInfo
from edge.errors import BundleError, CheckpointError
from export.architectures.vision import VisionSpec
from export.graphs import WEIGHTS

if TYPE_CHECKING:
    from export.plan import ExportPlan


def check_manifest(plan: "ExportPlan") -> None:
    """Raises CheckpointError for what the bundle's own reader would refuse; better now than after an hour."""
    manifest = build_manifest(plan, "plan")
    names = (WEIGHTS, *manifest.graphs.values(), *plan.texts.files)
    manifest.files.update(dict.fromkeys(names, FileInfo(0, "0" * 64)))
    try:
        Manifest.from_json(manifest.to_json())
    except BundleError as error:
        raise CheckpointError(
            f"{plan.checkpoint.path.name} makes no valid bundle: {error}", "is config.json complete and undamaged?"
        ) from None


def build_manifest(plan: "ExportPlan", name: str) -> Manifest:
    """Depends on the plan only, never on the clock, so that equal exports are equal to the byte."""
    spec, media, checkpoint = plan.spec, plan.media, plan.checkpoint
    return Manifest(
        name=name,
        architecture=spec.architecture,
        modes=[*GRAPHS_OF] if media else ["text"],
        graphs={graph.name: graph.file for graph in plan.graphs} | {name: f"{name}.onnx" for name in plan.fixed_graphs},
        decoder=DecoderInfo(
            layers=spec.layers,
            kv_heads=spec.kv_heads,
            head_size=spec.head_size,
            hidden_size=spec.hidden_size,
            vocab_size=spec.vocab_size,
            context_length=spec.context_length,
            rotary=spec.rotary,
            kv_bits=plan.options.kv_bits,
        ),
        tokens=plan.texts.tokens,
        chat=plan.texts.chat,
        quantisation=plan.groups(),
        provenance={
            "created_by": f"phi-edge {__version__}",
            "source": checkpoint.path.name,
            "source_kind": checkpoint.kind,
            "source_config_sha256": hashlib.sha256(json.dumps(checkpoint.config, sort_keys=True).encode()).hexdigest(),
            "quantiser": "rtn",
        },
        files={},
        speech=EncoderInfo(media.speech.audio_token, media.speech.dim) if media else None,
        vision=_vision(media.vision) if media else None,
    )


def _vision(spec: VisionSpec) -> VisionInfo:
    return VisionInfo(spec.image_token, spec.hidden, spec.patch, spec.max_crops)
