"""python -m benchmarks.foreign CHECKPOINT --work DIR: do folders of other exporters answer in `edge run` as they do in
the runtimes that they were made for?

CHECKPOINT is exported by Optimum (float32, and from that our int4) and by onnxruntime-genai (int4 and float32).
Ten prompts are answered greedily, once by each folder's own runtime and once by `edge run`, and the texts compared.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.foreign.environments import environment
from benchmarks.foreign.hf_directory import write_hf_directory

PROMPTS = (
    "Name three planets.",
    "What is the capital of France?",
    "Write a haiku about the sea.",
    "Why is the sky blue?",
    "Explain what a hash function does in one sentence.",
    "List four colours.",
    "What is 12 times 3?",
    "Give me a short recipe for pancakes.",
    "Translate 'good morning' into Spanish.",
    "Write a Python function that adds two numbers.",
)
NEW = 64
OPTIMUM, GENAI = "optimum", "genai"


@dataclass(frozen=True, slots=True)
class Contender:
    """`folder` is what `edge run -b` gets, `own` what its own runtime gets."""

    name: str
    runtime: str
    folder: Path
    own: Path


def tell(message: str) -> None:
    typer.echo(message, err=True)


def call(command: list[str], stdin: str = "", **environ: str) -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, env=os.environ | environ, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:4])}… failed: {done.stderr[-600:]}")
    return done.stdout


def make_folders(source: Path, work: Path, python: dict[str, str]) -> list[Contender]:
    """Those that are not there yet are made."""
    folders = {name: work / name for name in ("optimum-fp32", "optimum-int4", "genai-int4", "genai-fp32")}
    task = ["--task", "text-generation-with-past"]
    exporter = ["-m", "edge.cli.main", "export", str(source), "--exporter", OPTIMUM, "--no-fidelity"]
    made = {
        "optimum-fp32": [python[OPTIMUM], "-m", "optimum.exporters.onnx", "--model", str(source), *task],
        "optimum-int4": [sys.executable, *exporter],
    }
    for kind in ("int4", "fp32"):
        builder = ["-m", "onnxruntime_genai.models.builder", "-i", str(source), "-m", str(source), "-e", "cpu"]
        made[f"genai-{kind}"] = [python[GENAI], *builder, "-p", kind, "-c", str(work / "cache"), "-o"]
    for name, command in made.items():
        if not folders[name].exists():
            tell(f"exporting {name}")
            call([*command, str(folders[name])], EDGE_OPTIMUM_PYTHON=python[OPTIMUM])
    return [
        Contender("Optimum, float32", OPTIMUM, folders["optimum-fp32"], folders["optimum-fp32"]),
        Contender("Optimum, our int4", OPTIMUM, folders["optimum-int4"], _for_optimum(folders, work)),
        Contender("onnxruntime-genai, int4", GENAI, folders["genai-int4"], folders["genai-int4"]),
        Contender("onnxruntime-genai, float32", GENAI, folders["genai-fp32"], folders["genai-fp32"]),
    ]


def _for_optimum(folders: dict[str, Path], work: Path) -> Path:
    """Our int4 graph between the texts of the float export: its extra input has a default, so Optimum runs it, too."""
    folder = work / "optimum-int4-own"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for file in folders["optimum-fp32"].iterdir():
        if not file.name.startswith("model.onnx"):
            shutil.copy(file, folder)
    shutil.copy(folders["optimum-int4"] / "text.onnx", folder / "model.onnx")
    shutil.copy(folders["optimum-int4"] / "weights.bin", folder)
    return folder


def own_answers(one: Contender, python: str, threads: int) -> dict[str, Any]:
    child = Path(__file__).with_name(f"{one.runtime}_child.py")
    request = {"folder": str(one.own), "prompts": PROMPTS, "new": NEW, "threads": threads}
    return json.loads(call([python, str(child)], json.dumps(request)))


def edge_answer(one: Contender, prompt: str, threads: int) -> dict[str, Any]:
    options = ["-b", str(one.folder), "-n", str(NEW), "--threads", str(threads), "--json", prompt]
    return json.loads(call([sys.executable, "-m", "edge.cli.main", "run", *options]))


def main(
    checkpoint: Annotated[Path, typer.Argument(help="Small model: Hugging Face directory or .gguf file.")],
    work: Annotated[Path, typer.Option(help="Where environments and folders go.")],
    optimum_python: str = "",
    genai_python: str = "",
    threads: int = 2,
) -> None:
    work = work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    named = {OPTIMUM: optimum_python, GENAI: genai_python}
    python = {name: path or environment(name, work, tell) for name, path in named.items()}
    source = work / "checkpoint"
    if not source.exists():
        write_hf_directory(checkpoint, source)
    report = []
    typer.echo("| folder | same text | own runtime tok/s | edge run decode tok/s |\n|---|---|---|---|")
    for one in make_folders(source, work, python):
        tell(f"answering: {one.name}")
        own = own_answers(one, python[one.runtime], threads)
        ours = [edge_answer(one, prompt, threads) for prompt in PROMPTS]
        same = [text.strip() == answer["text"].strip() for text, answer in zip(own["texts"], ours, strict=True)]
        own_speed = sum(own["tokens"]) / sum(own["seconds"])
        speeds = sorted(answer["timing"]["decode_tokens_per_s"] for answer in ours)
        typer.echo(f"| {one.name} | {sum(same)} of {len(same)} | {own_speed:.1f} | {speeds[len(speeds) // 2]:.1f} |")
        answers = [
            {"prompt": prompt, "same": is_same, "own": text, "edge": answer["text"]}
            for prompt, is_same, text, answer in zip(PROMPTS, same, own["texts"], ours, strict=True)
        ]
        report.append({"folder": one.name, "same": sum(same), "own": own, "answers": answers, "edge": ours})
        (work / "report.json").write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    typer.run(main)
