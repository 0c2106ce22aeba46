"""bundle.json for a plan."""

import hashlib
import json

from edge import __version__
from edge.bundle.manifest import DecoderInfo, Manifest
from export.plan import ExportPlan


def build_manifest(plan: ExportPlan, name: str, graphs: dict[str, str]) -> Manifest:
    """Depends on the plan only, never on the clock, so that equal exports are equal to the byte."""
    spec, checkpoint = plan.spec, plan.checkpoint
    return Manifest(
        name=name,
        architecture=spec.architecture,
        modes=list(graphs),
        graphs=graphs,
        decoder=DecoderInfo(
            layers=spec.layers,
            kv_heads=spec.kv_heads,
            head_size=spec.head_size,
            hidden_size=spec.hidden_size,
            vocab_size=spec.vocab_size,
            context_length=spec.context_length,
            rotary=spec.rotary,
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
    )
