"""edge bundle: look at, check, install, tune and compare bundles."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge.cli import options as opt
from edge.cli.bundle_fidelity import fidelity
from edge.cli.console import bytes_progress, harmless, say, size, stderr, stdout

if TYPE_CHECKING:
    from edge.bundle.bundle import Bundle

app = typer.Typer(help="Verify, show, list, install, remove, tune and compare bundles.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="BUNDLE", help="Name of an installed bundle, or a directory.")]
NameOrDefault = Annotated[
    str | None,
    typer.Argument(metavar="BUNDLE", envvar="EDGE_BUNDLE", help=f"Name or directory; {opt.WITHOUT}."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command()
def verify(bundle: NameOrDefault = None, as_json: Json = False) -> None:
    """Compare every byte with the hashes in bundle.json."""
    from edge.bundle.store import default_bundle, resolve
    from edge.bundle.verify import verify as check
    from edge.errors import BundleError

    path = resolve(bundle) if bundle else default_bundle()
    with bytes_progress("verifying") as update:
        report = check(path, lambda name, done, total: update(done, total, name))
    if as_json:
        fields = {"schema": 1, "bundle": str(report.path), "ok": report.ok, "problems": report.problems}
        typer.echo(json.dumps(fields))
    if report.problems:
        for problem in report.problems[1:]:
            say(f"also: {problem}")
        raise BundleError(f"bundle {report.path}: {report.problems[0]}", "copy or export it again")
    say(f"{report.path}: {report.files} files, {size(report.bytes)}, all as they should be ({report.digest[:12]})")


@app.command()
def show(bundle: NameOrDefault = None, as_json: Json = False) -> None:
    """What a bundle holds: model, formats, sizes, token ids."""
    from rich.table import Table

    from edge.bundle.store import default_bundle, resolve
    from edge.foreign.folder import open_model

    opened = open_model(resolve(bundle) if bundle else default_bundle())
    manifest = opened.manifest
    if as_json:
        typer.echo(json.dumps({"digest": opened.digest, **asdict(manifest)}))
        return
    decoder = manifest.decoder
    table = Table(
        title=f"{manifest.name} · {harmless(manifest.architecture)} · {size(opened.bytes)}", title_justify="left"
    )
    for column in ("weights", "tensors", "bits", "block", "zero points", "bytes"):
        table.add_column(column, justify="left" if column == "weights" else "right")
    for group in manifest.quantisation:
        zero = "no" if group.symmetric else "yes"
        block = str(group.block) if group.block else "–"
        table.add_row(harmless(group.name), str(group.tensors), str(group.bits), block, zero, size(group.bytes))
    cache = f"{'int' if decoder.kv_bits == 8 else 'float'}{decoder.kv_bits}"
    console = stdout()
    console.print(table)
    console.print(
        f"{decoder.layers} layers, {decoder.kv_heads} KV heads of {decoder.head_size}, vocabulary "
        f"{decoder.vocab_size:,}, context {decoder.context_length:,}\n"
        f"KV cache {cache}, {size(decoder.kv_bytes_per_token)} a token\n"
        f"modes {harmless(', '.join(manifest.modes))}; chat format {harmless(manifest.chat.format)}; "
        f"stop tokens {manifest.tokens.stop}\n"
        f"from {harmless(str(manifest.provenance.get('source', '?')))}; digest {opened.digest[:16]}"
    )


@app.command("list")
def list_bundles(as_json: Json = False) -> None:
    """Installed bundles, and the embedded one."""
    from edge.bundle.store import bundles_dir, list_installed

    installed = list_installed()
    if as_json:
        rows = [
            {
                "name": one.name,
                "path": str(one.path),
                "digest": one.bundle and one.bundle.digest,
                "problem": one.problem,
                "embedded": one.embedded,
            }
            for one in installed
        ]
        typer.echo(json.dumps({"schema": 1, "bundles": rows}))
        return
    if not installed:
        say(f"no bundles in {bundles_dir()}\n  next: edge bundle install DIRECTORY")
    for one in installed:
        state = f"{size(one.bundle.bytes)}\t{one.bundle.digest[:12]}" if one.bundle else f"damaged\t{one.problem}"
        typer.echo(f"{one.name}\t{state}\t{one.path}")


@app.command()
def install(
    source: Annotated[Path, typer.Argument(help="Bundle directory.")],
    name: Annotated[str | None, typer.Option(help="Name to install it under.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a bundle of this name.")] = False,
) -> None:
    """Verify a bundle and copy it into the user's bundle directory."""
    from edge.bundle.store import install as copy

    with bytes_progress("installing") as update:
        path = copy(source, name, replace, lambda file, done, total: update(done, total, file))
    say(f"installed {path}\n  next: edge run -b {path.name} 'Hello'")


@app.command()
def remove(name: Annotated[str, typer.Argument(help="Name of an installed bundle.")]) -> None:
    """Delete an installed bundle."""
    from edge.bundle.store import remove as delete

    delete(name)
    say(f"removed {name}")


@app.command()
def tune(
    bundle: Name,
    ep: Annotated[str, typer.Option(help="Instead: compile and try it on this processor, in all modes.")] = "",
    threads: opt.Threads = 0,
) -> None:
    """Save prepacked weights for this CPU, so that the next start maps them, and try which cores are best; or get ready
    for another processor."""
    from edge.bundle.bundle import Bundle
    from edge.bundle.store import resolve
    from edge.runtime.cores import core_counts
    from edge.runtime.threads import choose_threads, known_threads
    from edge.runtime.tune import tune as prepack

    opened = Bundle.open(resolve(bundle))
    if ep:
        _try_on(opened, ep, threads)
        return
    with stderr().status(f"packing {size(opened.bytes)} for this CPU"):
        report = prepack(opened, threads)
    say(f"{'made' if report.made else 'already there'}: {report.path} ({size(report.bytes)})")
    if len(counts := core_counts()) > 1 and not threads:
        with stderr().status("trying big and little cores"):
            seconds = choose_threads(opened, counts)
        tried = ", ".join(f"{count} in {seconds[count]:.2f} s" for count in counts)
        say(f"{known_threads(opened)} threads from now on ({tried})")


def _try_on(bundle: "Bundle", ep: str, threads: int) -> None:
    """Raises DeviceError when nothing of the bundle can run there."""
    from rich.table import Table

    from edge.errors import DeviceError
    from edge.providers.choice import choose
    from edge.providers.plugin import plugin
    from edge.providers.verdicts import known_verdicts

    for mode in bundle.manifest.modes:
        choose(bundle, mode, ep, False, threads, say)
    verdicts = known_verdicts(bundle, plugin(ep))
    table = Table("part", ep, "CPU", "off", "", title=f"{bundle.manifest.name} on {ep}", title_justify="left")
    for part, one in verdicts.items():
        seconds = [f"{value:.2f} s" if value else "" for value in (one.seconds, one.cpu_seconds)]
        table.add_row(part, *seconds, f"{one.error:.1%}" if one.seconds else "", harmless(one.fault or "right"))
    stdout().print(table)
    if not any(one.correct for one in verdicts.values()):
        raise DeviceError(f"nothing of {bundle.manifest.name} can run on {ep}", "the CPU runs it: leave --ep away")


app.command()(fidelity)
