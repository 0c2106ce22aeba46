"""edge doctor: one line per check, and what to do about the red ones."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from edge.cli import options as opt
from edge.cli.console import stdout


def doctor(
    bundle: opt.Bundle = None,
    microphone: Annotated[
        str | None, typer.Option("--microphone", "-m", help="Part of the name of one that must work.")
    ] = None,
    camera: Annotated[str | None, typer.Option(help="One that must work: number, name, file or URL.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print checks and machine facts as JSON.")] = False,
) -> None:
    """Check CPU, memory, disk, clock, runtime, bundle, microphone and camera."""
    from edge.doctor import machine_facts, run_checks

    checks = run_checks(bundle, microphone, camera)
    if as_json:
        fields = {"schema": 1, "machine": machine_facts(), "checks": [asdict(check) for check in checks]}
        typer.echo(json.dumps(fields))
    else:
        from rich.text import Text

        console = stdout()
        for check in checks:
            mark, colour = ("✓", "green") if check.ok else ("✗", "red") if check.needed else ("○", "yellow")
            line = Text.assemble((f"{mark} {check.name:10}", colour), f" {check.detail}")
            if check.next_step:
                line.append(f"\n             next: {check.next_step}")
            console.print(line)
    if not all(check.ok or not check.needed for check in checks):
        raise typer.Exit(1)
