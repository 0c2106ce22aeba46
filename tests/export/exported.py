"""Checkpoints of the fixtures as bundles, opened in the decoder."""

from pathlib import Path

from edge.bundle.bundle import Bundle
from edge.runtime.decoder import Decoder
from export.exporter import run_export
from export.options import ExportOptions
from export.plan import plan_export


def export(checkpoint: Path, out: Path, options: ExportOptions) -> Path:
    run_export(plan_export(checkpoint, options), out)
    return out


def decoder(bundle: Path) -> Decoder:
    return Decoder.load(Bundle.open(bundle), threads=1)


def float_decoder(checkpoint: Path) -> Decoder:
    """Exported unquantised, beside the checkpoint."""
    out = checkpoint.with_name(checkpoint.name + "-float")
    return decoder(out if out.exists() else export(checkpoint, out, ExportOptions(bits=32)))
