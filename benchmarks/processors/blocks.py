"""python -m benchmarks.processors.blocks CHECKPOINT: what a neural processor's compiler makes of layers of real size.

Compiles one layer, for a chunk of 64 tokens and for one token over a window of 512, with int4 and int8 weights, ahead
of time, and compares what the compiled layer computes with the CPU provider. A checkpoint of two layers will do:
`python -m benchmarks.peers.random_checkpoint DIR --layers 2`.
"""

import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import onnxruntime as ort
import typer

from benchmarks.processors.fixed_on_cpu import FixedOnCpu
from edge.providers.plugin import plugin
from edge.providers.session import open_on, placement
from edge.runtime.fixed_window import HIDDEN
from export.exporter import run_export
from export.graphs import WEIGHTS
from export.npu.attention import Window
from export.npu.decoder import build_layers
from export.options import ExportOptions
from export.plan import plan_export

PAST = 512
FORMATS = {"int4, blocks of 32": ExportOptions(4, 32, True), "int8, blocks of 64": ExportOptions(8, 64)}


def inputs(session: ort.InferenceSession) -> dict[str, np.ndarray]:
    """Random, with half of the window filled."""
    random = np.random.default_rng(0)
    given = {one.name: random.standard_normal(one.shape).astype(np.float32) for one in session.get_inputs()}
    mask = given["mask"]
    tokens = mask.shape[2]
    mask[:], mask[..., : PAST // 2] = HIDDEN, 0
    mask[..., PAST:] = np.where(np.tri(tokens, dtype=bool), np.float32(0), HIDDEN)
    return given


def main(checkpoint: Path, ep: Annotated[str, typer.Option(help="See  edge devices --compute.")] = "qnn") -> None:
    typer.echo("| weights | tokens | nodes | compiled in s | context MB | opened in s | error |")
    typer.echo("|---|---|---|---|---|---|---|")
    for name, options in FORMATS.items():
        with tempfile.TemporaryDirectory() as folder:
            bundle = Path(folder) / "bundle"
            plan = plan_export(checkpoint, options)
            run_export(plan, bundle)
            for tokens in (64, 1):
                window, context = Window(tokens, PAST), Path(folder) / f"context-{tokens}" / "layer.onnx"
                context.parent.mkdir()
                graph = bundle / f"layer-{tokens}.onnx"
                graph.write_bytes(build_layers(plan.spec, plan.by_role, bundle / WEIGHTS, window, layers=1))
                started = time.monotonic()
                nodes = placement(open_on(plugin(ep), graph, context=context))
                compiled = time.monotonic()
                session = open_on(plugin(ep), context)
                opened = time.monotonic()
                given = inputs(session)
                found, expected = session.run(None, given), open_on(FixedOnCpu(), graph).run(None, given)
                error = max(np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(found, expected, strict=True))
                size = sum(file.stat().st_size for file in context.parent.iterdir()) / 1e6
                typer.echo(
                    f"| {name} | {tokens} | {nodes} | {compiled - started:.1f} | {size:.1f} | "
                    f"{opened - compiled:.2f} | {error:.2%} |"
                )


if __name__ == "__main__":
    typer.run(main)
