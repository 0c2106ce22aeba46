"""The verb `edge export`: a checkpoint becomes a bundle. Kept importable without onnx, for `edge --help`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edge.cli.console import bytes_progress, say, size, stderr
from edge.errors import UsageError

if TYPE_CHECKING:
    from export.calibration.fidelity import Fidelity
    from export.exporter import ExportReport
    from export.npu.shapes import FixedShapes
    from export.plan import ExportPlan


def export(
    source: Annotated[Path, typer.Argument(help="Hugging Face directory or .gguf file.")],
    out: Annotated[Path, typer.Argument(help="Bundle directory to create; must not exist.")],
    recipe: Annotated[
        str, typer.Option(help="Calibrated int4, slower to make: fast, balanced or faithful, from small to exact.")
    ] = "",
    calibrate: Annotated[
        Path | None,
        typer.Option(help="With --recipe: folder of texts, or of labels.jsonl with recordings and pictures."),
    ] = None,
    bits_per_weight: Annotated[
        float | None,
        typer.Option(help="With --recipe: bits a weight of the layers to spend where they matter.", show_default=False),
    ] = None,
    max_kl: Annotated[
        float | None,
        typer.Option(help="Nats a token that no mode may lose more of: 0.5 with --recipe, else 2.", show_default=False),
    ] = None,
    no_fidelity: Annotated[
        bool, typer.Option("--no-fidelity", help="Do not measure what is lost, and refuse nothing for it.")
    ] = False,
    bits: Annotated[int, typer.Option(help="Bits per weight: 4, 8, or 32 for unquantised.")] = 4,
    block: Annotated[int, typer.Option(help="Weights per scale: 32, 64 or 128.")] = 128,
    symmetric: Annotated[bool, typer.Option("--symmetric", help="No zero points: faster on ARM, less exact.")] = False,
    head_bits: Annotated[int | None, typer.Option(help="Bits of lm_head, and of a tied embedding.")] = None,
    embedding_bits: Annotated[int | None, typer.Option(help="Bits of an untied embedding.")] = None,
    encoder_bits: Annotated[int | None, typer.Option(help="Bits of speech and vision encoders: 8 or 32.")] = None,
    activations: Annotated[int | None, typer.Option(help="Bits of activations: 8 is faster, 16 exact.")] = None,
    kv_bits: Annotated[
        int, typer.Option(help="Bits of the KV cache: 32, or 8 with --recipe: a quarter of the memory.")
    ] = 32,
    fast_prefill: Annotated[
        bool,
        typer.Option("--fast-prefill", help="Add int8 weights for reading prompts: faster, a byte per weight more."),
    ] = False,
    exporter: Annotated[
        str, typer.Option(help="optimum: for architectures without a graph of ours; needs phi-edge\\[optimum].")
    ] = "",
    max_ram: Annotated[
        str, typer.Option(help="Hard limit on memory, like 2GB; modes that need more are not measured.")
    ] = "",
    target: Annotated[
        Literal["cpu", "arm64", "qnn"],
        typer.Option(help="arm64: --symmetric. qnn: also graphs of fixed shapes, as neural processors take them."),
    ] = "cpu",
    window: Annotated[
        int | None, typer.Option(help="With --target qnn: tokens of a conversation there (2048).", show_default=False)
    ] = None,
    plan_only: Annotated[bool, typer.Option("--plan", help="Show what would be done and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Turn a checkpoint into a bundle, tensor by tensor."""
    from edge.cli.sizes import parse_size

    limit = parse_size(max_ram) if max_ram else 0
    try:
        from export.exporter import run_export
        from export.options import ExportOptions
        from export.plan import plan_export
    except ModuleNotFoundError as error:
        raise UsageError(f"exporting needs the package {error.name}", 'pip install "phi-edge[export]"') from None
    options = ExportOptions(
        bits,
        block,
        symmetric or target == "arm64",  # the layout of onnxruntime's fastest int4 kernels there
        head_bits,
        embedding_bits,
        activations,
        limit,
        fast_prefill,
        encoder_bits,
        recipe,
        calibrate,
        max_kl,
        fidelity=not no_fidelity,
        bits_per_weight=bits_per_weight,
        kv_bits=kv_bits,
        fixed=_fixed_shapes(target, window),
    )
    if no_fidelity and (recipe or max_kl is not None):
        other = "--recipe" if recipe else "--max-kl"
        raise UsageError(f"--no-fidelity contradicts {other}, which measures", "leave out one of them")
    if exporter:
        from export.foreign.command import export_foreign

        export_foreign(exporter, source, out, options, plan_only, as_json)
        return
    plan = plan_export(source, options)
    if limit:  # after the plan, which refuses a hopeless limit with numbers
        _limit_memory(limit)
    _show_plan(plan, out)
    if plan_only:
        return
    with bytes_progress("exporting") as update:
        report = run_export(plan, out, lambda p: update(p.done_bytes, p.total_bytes, p.name))
    _show_report(report, plan, as_json)


def _show_fidelity(fidelity: "Fidelity") -> None:
    """What was measured, and what could not be."""
    from rich.table import Table

    table = Table(title="against the checkpoint, over text, recordings and pictures kept apart", title_justify="left")
    for column in ("mode", "tokens", "KL", "same first choice", "perplexity"):
        table.add_column(column, justify="left" if column == "mode" else "right")
    for mode, of in fidelity.modes.items():
        known = of.perplexity is not None
        perplexity = f"{of.exact_perplexity:.2f} → {of.perplexity:.2f}" if known else ""
        table.add_row(mode, f"{of.tokens:,}", f"{of.kl:.3f}", f"{of.top1:.1%}", perplexity)
    if fidelity.modes:
        stderr().print(table)
    for note in fidelity.notes:
        say(note)


def _fixed_shapes(target: str, window: int | None) -> "FixedShapes | None":
    from export.npu.shapes import FixedShapes

    if target == "qnn":
        return FixedShapes() if window is None else FixedShapes(window)
    if window is not None:
        raise UsageError("only a neural processor has a window of its own", "add --target qnn, or leave out --window")
    return None


def _limit_memory(limit: int) -> None:
    """The kernel enforces the promise: private memory beyond the limit fails as MemoryError."""
    import resource

    resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def _show_plan(plan: "ExportPlan", out: Path) -> None:
    from rich.table import Table

    spec = plan.spec
    table = Table(title=f"{plan.checkpoint.path.name} → {out}", title_justify="left")
    for column in ("weights", "tensors", "format", "activations", "bytes"):
        table.add_column(column, justify="right" if column in ("tensors", "activations", "bytes") else "left")
    for group in plan.groups():
        kind = "symmetric" if group.symmetric else "asymmetric"
        blocks = f"block {group.block}, {kind}" if group.block else "per channel"
        text = "float32" if group.bits == 32 else f"int{group.bits}, {blocks}"
        label = f"{group.name} (= head)" if group.name == "embedding" and spec.tied_embedding else group.name
        table.add_row(label, str(group.tensors), text, f"{group.activation_bits} bit", size(group.bytes))
    table.add_section()
    table.add_row("in all", str(len(plan.weights)), spec.architecture, "", size(plan.weights_bytes))
    stderr().print(table)
    if recipe := plan.options.calibrated:
        say(f"recipe {plan.options.named}: {recipe.trade}")
    elif plan.measured:
        say("measures what is lost; --no-fidelity leaves that out")
    if plan.options.int8_cache:
        say("KV cache int8, in steps that are calibrated: a quarter of the memory")
    say(f"reads {size(plan.source_bytes)}, needs about {size(plan.peak_ram)} of memory")
    if unused := plan.unused:
        more = ", …" if len(unused) > 3 else ""
        say(f"does not use {len(unused)} tensors of the checkpoint: {', '.join(map(ascii, unused[:3]))}{more}")


def _show_report(report: "ExportReport", plan: "ExportPlan", as_json: bool) -> None:
    import json

    from edge.doctor import peak_rss

    peak = peak_rss()
    if as_json:
        fields = {
            "schema": 1,
            "bundle": str(report.out),
            "bytes": report.bundle_bytes,
            "seconds": round(report.seconds, 3),
            "weights_sha256": report.weights_sha256,
            "resumed_bytes": report.resumed_bytes,
            "peak_rss_bytes": peak,
            "unused_tensors": plan.unused,
        }
        if told := report.fidelity:
            fields["fidelity"] = told.to_dict() | {"seconds": round(told.seconds, 3)}
        typer.echo(json.dumps(fields))
    if report.fidelity:
        _show_fidelity(report.fidelity)
    resumed = f", {size(report.resumed_bytes)} of it from an interrupted run" if report.resumed_bytes else ""
    say(
        f"wrote {report.out}: {size(report.bundle_bytes)} in {report.seconds:.1f} s{resumed}, "
        f"peak memory {size(peak)}\n  next: edge run -b {report.out} 'Hello'"
    )
