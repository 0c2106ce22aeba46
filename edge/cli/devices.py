"""edge devices: which microphones and cameras there are, and how loud a microphone is."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from edge.cli.console import harmless, stdout
from edge.errors import DeviceError, UsageError

if TYPE_CHECKING:
    from edge.devices.source import Source

NO_CAMERA = "No camera is connected: plug one in, or give a picture, a video file or a URL:  edge listen --camera FILE"


def devices(
    meter: Annotated[bool, typer.Option("--meter", help="Show the level of a microphone until Ctrl-C.")] = False,
    microphone: Annotated[
        str | None, typer.Option("--microphone", "-m", help="With --meter: part of its name; else the default.")
    ] = None,
    compute: Annotated[bool, typer.Option("--compute", help="List processors that a model can run on.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List microphones, cameras or processors, or watch the level of a microphone."""
    if compute:
        if meter:
            raise UsageError("--compute has no level", "leave --compute or --meter away")
        _print_compute(as_json)
        return
    if meter:
        if as_json:
            raise UsageError("--meter has no JSON", "leave --json or --meter away")
        from edge.cli.meter import show_level

        raise typer.Exit(show_level(microphone))
    if microphone is not None:
        raise UsageError("--microphone is for the level meter", "add --meter")
    from edge.devices.camera_source import cameras
    from edge.devices.sources import microphones

    try:
        found, failure = microphones(), DeviceError("there is no microphone", "plug one in and try again")
    except DeviceError as error:
        found, failure = [], error
    connected = cameras()
    if as_json:
        listed = [{"number": number, "name": name} for number, name in connected.items()]
        typer.echo(json.dumps({"schema": 1, "microphones": [asdict(one) for one in found], "cameras": listed}))
    else:
        _print(found, connected)
    if not found:
        raise failure


def _print_compute(as_json: bool) -> None:
    from rich.table import Table

    from edge.providers.listing import compute_devices

    found = compute_devices()
    if as_json:
        typer.echo(json.dumps({"schema": 1, "compute": [asdict(one) for one in found]}))
        return
    table = Table("provider", "version", "device", title="processors", title_justify="left")
    for one in found:
        table.add_row(one.name, one.version, harmless(one.problem or f"{one.device} {one.vendor}".strip()))
    stdout().print(table)


def _print(microphones: "list[Source]", cameras: dict[int, str]) -> None:
    from rich.table import Table

    console = stdout()
    if microphones:
        table = Table(title="microphones", title_justify="left")
        for column in ("", "name", "kind", "Hz", "channels"):
            table.add_column(column, justify="right" if column in ("Hz", "channels") else "left")
        descriptions = [one.description for one in microphones]
        for one in microphones:
            # what people call it, if that says which one it is
            name = one.description if descriptions.count(one.description) == 1 else one.name
            kind = "monitor" if one.monitor else one.kind
            mark = "default" if one.default else ""
            table.add_row(mark, harmless(name), kind, f"{one.rate}", f"{one.channels}")
        console.print(table)
    if not cameras:
        console.print(NO_CAMERA)
        return
    table = Table("number", "name", title="cameras", title_justify="left")
    for number, camera in cameras.items():
        table.add_row(str(number), harmless(camera))
    console.print(table)
