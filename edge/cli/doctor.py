"""edge doctor: one line per check, and what to do about the red ones."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from edge.cli import options as opt
from edge.cli.console import stdout


def doctor(
    bundle: opt.Bundle = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print checks and machine facts as JSON.")] = False,
) -> None:
    """Check CPU, memory, disk, clock, runtime and bundle."""
    from edge.doctor import machine_facts, run_checks

    checks = run_checks(bundle)
    if as_json:
        fields = {"schema": 1, "machine": machine_facts(), "checks": [asdict(check) for check in checks]}
        typer.echo(json.dumps(fields))
    else:
        from rich.text import Text

        console = stdout()
        for check in checks:
            mark, colour = ("✓", "green") if check.ok else ("✗", "red")
            line = Text.assemble((f"{mark} {check.name:8}", colour), f" {check.detail}")
            if check.next_step:
                line.append(f"\n           next: {check.next_step}")
            console.print(line)
    if not all(check.ok for check in checks):
        raise typer.Exit(1)
