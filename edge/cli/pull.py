"""edge pull: the only verb that may open a socket."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from edge.cli.console import bytes_progress, say


def pull(
    repository: Annotated[str, typer.Argument(help="Repository on the hub, like microsoft/Phi-4-mini-instruct.")],
    out: Annotated[
        Path | None, typer.Argument(help="Directory to create; by default below the data directory.")
    ] = None,
    revision: Annotated[str, typer.Option(help="Branch, tag or commit.")] = "main",
    kind: Annotated[Literal["checkpoint", "bundle"], typer.Option(help="What the repository holds.")] = "checkpoint",
    file: Annotated[str | None, typer.Option(help="The one GGUF file to take, where there are several.")] = None,
    endpoint: Annotated[str | None, typer.Option(envvar="HF_ENDPOINT", help="Another hub's address.")] = None,
) -> None:
    """Download a checkpoint or a bundle; resumes where it stopped, checks every hash."""
    from edge.hub import pull as download

    with bytes_progress("pulling") as update:
        path = download(
            repository,
            revision,
            kind,
            file=file,
            out=out,
            endpoint=endpoint,
            progress=lambda name, done, total: update(done, total, name),
        )
    verb = f"edge export {path} {path.name}-int4" if kind == "checkpoint" else f"edge run -b {path} 'Hello'"
    say(f"pulled {path}\n  next: {verb}")
