"""python -m benchmarks.fidelity.peers SOURCE.gguf WORK: our recipes beside the quantisers of llama.cpp and onnxruntime.

The same float32 weights, text and windows for all; embedding and head are int8 or better everywhere, so that what is
compared are the matrices of the layers. Takes an hour for SmolLM2-135M on two cores.
"""

import json
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.fidelity.compare import compare
from benchmarks.fidelity.texts import evaluation_text
from benchmarks.peers.peers_python import make
from edge.bundle.bundle import Bundle
from edge.bundle.manifest import Manifest
from edge.prompt.tokenizer import Tokenizer
from edge.runtime.decoder import Decoder
from export.exporter import run_export
from export.options import ExportOptions
from export.plan import plan_export
from export.recipes import NAMED

OURS = {
    "float32": ExportOptions(bits=32),
    "round to nearest, block 128": ExportOptions(head_bits=8),
    "round to nearest, block 32": ExportOptions(head_bits=8, block=32),
} | {f"--recipe {name}": ExportOptions(named=name) for name in NAMED}
BODY = ("attention", "mlp")
HEADER = "| | bits per weight | KL | perplexity | top-1 |\n|---|---:|---:|---:|---:|"


def body_bytes(manifest: Manifest) -> int:
    return sum(group.bytes for group in manifest.quantisation if group.name in BODY)


def ours(source: Path, work: Path, ids: list[int]) -> list[dict[str, Any]]:
    opened = {}
    for number, (name, options) in enumerate(OURS.items()):
        out = work / f"ours-{number}"
        if not out.exists():
            run_export(plan_export(source, options), out)
        opened[name] = Bundle.open(out)
    exact = opened.pop("float32")
    reference, weights = Decoder.load(exact), body_bytes(exact.manifest) / 4
    rows = []
    for name, bundle in opened.items():
        fidelity = compare(reference, Decoder.load(bundle), ids)
        rows.append({"name": name, "bits": 8 * body_bytes(bundle.manifest) / weights, **asdict(fidelity)})
    return rows


def theirs(python: str, module: str, *arguments: Path) -> list[dict[str, Any]]:
    command = [python, "-m", f"benchmarks.fidelity.{module}", *map(str, arguments)]
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return [json.loads(line) for line in told.splitlines() if line.startswith("{")]


def main(
    source: Annotated[Path, typer.Argument(help="Checkpoint as one GGUF file.")],
    work: Annotated[Path, typer.Argument(help="Folder for bundles and files; what is there already is kept.")],
    python: Annotated[str, typer.Option(help="An interpreter that has the peers; else one is made in WORK.")] = "",
) -> None:
    work.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(plan_export(source, ExportOptions()).texts.files["tokenizer.json"])
    ids = work / "ids.json"
    ids.write_text(json.dumps(tokenizer.encode_text(evaluation_text())))
    peers = python or make(work, typer.echo)
    rows = ours(source, work, json.loads(ids.read_text()))
    rows += theirs(peers, "llama_child", source, work, ids)
    rows += theirs(peers, "onnx_quantisers", work / "ours-0", ids)
    typer.echo(HEADER)
    for row in sorted(rows, key=lambda row: float(row["bits"])):
        change = row["perplexity"] / row["reference_perplexity"] - 1
        typer.echo(
            f"| {row['name']} | {row['bits']:.2f} | {row['kl_divergence']:.4f} | {change:+.1%} "
            f"| {row['top1_agreement']:.1%} |"
        )


if __name__ == "__main__":
    typer.run(main)
