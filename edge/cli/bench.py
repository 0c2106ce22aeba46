"""edge bench: how fast a bundle runs here."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from edge.cli import options as opt
from edge.cli.console import say, size, stderr, stdout
from edge.cli.stand_in import introduce
from edge.errors import UsageError


def bench(
    bundle: opt.Bundle = None,
    prompt: Annotated[str, typer.Option(help="Prompt lengths in tokens, separated by commas.")] = "16,256,1024",
    new: Annotated[int, typer.Option("--new", min=1, help="Tokens generated after each prompt.")] = 64,
    rounds: Annotated[int, typer.Option(min=1, help="Repetitions.")] = 3,
    ep: opt.Ep = "",
    require_ep: opt.RequireEp = False,
    threads: opt.Threads = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print samples and machine as JSON.")] = False,
) -> None:
    """Measure prompt and decode speed, load time and memory."""
    try:
        lengths = [int(length) for length in prompt.split(",")]
    except ValueError:
        lengths = [0]
    if min(lengths) < 1:
        raise UsageError(f"--prompt {prompt!r} is not a list of lengths", "write it like --prompt 16,256")
    opt.checked_ep(ep, require_ep)
    from edge.doctor import machine_facts, peak_rss
    from edge.model import load
    from edge.runtime.bench import Spread, measure

    model = load(bundle, threads, "text", ep, require_ep, say)
    context = model.manifest.decoder.context_length
    if max(lengths) + new > context:
        raise UsageError(f"{max(lengths)} + {new} tokens do not fit into the context of {context:,}", "ask for less")
    if not as_json:
        introduce(model.bundle)
    with stderr().status("measuring") as status:
        samples = measure(
            model.decoder,
            lengths,
            new,
            rounds,
            lambda s: status.update(f"{s.prompt} tokens: {s.decode_tokens_per_s:.1f} tokens/s"),
        )
    if as_json:
        fields = {
            "schema": 1,
            "bundle": {"name": model.manifest.name, "digest": model.bundle.digest},
            "machine": machine_facts(),
            "load_s": model.load_s,
            "peak_rss_bytes": peak_rss(),
            "compute": model.compute,
            "samples": [asdict(sample) for sample in samples],
        }
        typer.echo(json.dumps(fields))
        return
    from rich.table import Table

    table = Table(title=f"{model.manifest.name}: min / median / max of {rounds} rounds", title_justify="left")
    for column in ("prompt", "first token s", "prompt tokens/s", "decode tokens/s"):
        table.add_column(column, justify="right")
    for length in lengths:
        own = [sample for sample in samples if sample.prompt == length]
        spreads = [
            Spread.of([getattr(sample, name) for sample in own])
            for name in ("ttft_s", "prefill_tokens_per_s", "decode_tokens_per_s")
        ]
        cells = [f"{s.low:.2f} / {s.median:.2f} / {s.high:.2f}" for s in spreads]
        table.add_row(str(length), *cells)
    console = stdout()
    console.print(table)
    facts = f"loaded in {model.load_s:.2f} s, peak memory {size(peak_rss())}, {machine_facts()['cpu']}"
    console.print(facts)
