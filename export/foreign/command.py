"""`edge export --exporter optimum`."""

import json
from pathlib import Path
from typing import Any

import typer

from edge.cli.console import bytes_progress, say, size, stderr
from edge.errors import UsageError
from export.foreign.exporter import check_options, export_with_optimum
from export.foreign.run_optimum import interpreter
from export.options import ExportOptions


def export_foreign(
    exporter: str, source: Path, out: Path, options: ExportOptions, plan_only: bool, as_json: bool
) -> None:
    """Raises UsageError, CheckpointError or ResourceError."""
    if exporter != "optimum":
        raise UsageError(f"there is no exporter {exporter!r}", "use --exporter optimum, or leave it out for ours")
    check_options(options)
    if plan_only:
        say(f"{interpreter()} has Optimum; what it would trace is only known afterwards")
        return
    with bytes_progress("quantising") as update:
        say(f"Optimum traces {source.name} in float32; this takes a while")
        report = export_with_optimum(source, out, options, lambda name, done, total: update(done, total, name))
    if as_json:
        fields: dict[str, Any] = {
            "schema": 1,
            "bundle": str(report.out),
            "bytes": report.bundle_bytes,
            "seconds": round(report.seconds, 3),
            "traced_seconds": round(report.traced_s, 3),
        }
        if report.fidelity:
            fields["fidelity"] = report.fidelity.to_dict()
        typer.echo(json.dumps(fields))
    if report.fidelity:
        lost = report.fidelity.modes["text"]
        say(f"measured over {lost.tokens:,} tokens of text: KL {lost.kl:.3f}, same first choice {lost.top1:.1%}")
    stderr().print(
        f"wrote {report.out}: {size(report.bundle_bytes)} in {report.seconds:.1f} s, "
        f"{report.traced_s:.1f} of them Optimum's\n  next: edge run -b {report.out} 'Hello'"
    )
