"""phi-edge beside mobius-onnx's export of the same small random checkpoint: same tokens? how fast are whose graphs?

`python -m benchmarks.multimodal.mobius --work DIR [--python INTERPRETER]`; the interpreter has mobius-onnx, torch and
transformers, and is made when absent. Both sides run in this project's onnxruntime with the same threads.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.multimodal.mobius_child import MODES
from benchmarks.peers.child import run_child
from benchmarks.peers.machine import machine_facts
from benchmarks.peers.summary import three_digits
from tests.multimodal_checkpoints import convert_to_original, native_config, write_native

REQUIREMENTS = ("mobius-onnx==0.1.0", "torch==2.13.0", "transformers==5.23.0", "safetensors")
SIDES = {"float32": ("--bits", "32"), "int8": ("--bits", "8"), "int4": ()}
"""phi-edge's bundles and their export options; mobius-onnx 0.1.0 has float32 weights only."""

TIMES = ("encode_s", "prefill_s", "step_s")


def make_checkpoints(work: Path) -> None:
    """The tests' model with wider and deeper parts, 98 M weights, in both layouts."""
    if (work / "original").exists():
        return
    shutil.rmtree(work / "native", ignore_errors=True)
    base = native_config()
    vision = {"hidden_size": 384, "intermediate_size": 1424, "num_hidden_layers": 7, "num_attention_heads": 6}
    speech = {"hidden_size": 256, "intermediate_size": 384, "num_blocks": 6, "nemo_conv_channels": 128}
    wide = {"ext_pw_out_channel": 256, "depthwise_separable_out_channel": 256}
    text = {"hidden_size": 1024, "intermediate_size": 2048, "num_hidden_layers": 8, "num_attention_heads": 16}
    sections = {
        "vision_config": base["vision_config"] | vision,
        "audio_config": base["audio_config"] | speech | wide,
    }
    write_native(work / "native", 1, num_key_value_heads=4, **text, **sections)
    convert_to_original(work / "native", work / "original")


def interpreter(work: Path, given: str) -> str:
    if given:
        return given
    python = work / "mobius-venv" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *REQUIREMENTS], check=True)
    return str(python)


def must(command: list[str], log: Path, stdin: str = "") -> str:
    result = run_child(command, log, stdin)
    if failure := result.failure(log):
        typer.echo(f"error: {log.stem}: {failure}", err=True)
        raise typer.Exit(1)
    return result.stdout


def run_side(work: Path, name: str, asked: dict[str, Any], steps: int, threads: int) -> dict[str, Any]:
    """The child's answers; its logits lie in NAME.npz."""
    side = "mobius" if name == "mobius" else "phi-edge"
    request = {"side": side, "model": str(work / name), "asked": asked, "steps": steps, "threads": threads}
    request["logits"] = str(work / f"{name}.npz")
    command = [sys.executable, "-m", "benchmarks.multimodal.mobius_child"]
    answers: dict[str, Any] = json.loads(must(command, work / "logs" / f"{name}.log", json.dumps(request)))
    return answers


def agreement(work: Path, name: str) -> dict[str, dict[str, float]]:
    """By mode: share of positions with the same argmax as mobius, and the largest difference of logits."""
    with np.load(work / f"{name}.npz") as ours, np.load(work / "mobius.npz") as theirs:
        return {
            mode: {
                "same_argmax": float((ours[mode].argmax(-1) == theirs[mode].argmax(-1)).mean()),
                "max_abs_difference": float(np.abs(ours[mode] - theirs[mode]).max()),
            }
            for mode in MODES
        }


def markdown(report: dict[str, Any]) -> str:
    head = ["mode", "phi-edge", "prompt", "same argmax", "max. logit difference"]
    head += [f"{part}: mobius [ms], ours ÷ mobius" for part in ("encoders", "prefill", "one token")]
    lines = [head, ["---"] * len(head)]
    for mode in MODES:
        for name in SIDES:
            found = report["agreement"][name][mode]
            cells = [mode, name, f"{report['prompt_tokens'][mode]} tokens", f"{found['same_argmax']:.1%}"]
            cells.append(f"{found['max_abs_difference']:.2g}")
            for key in TIMES:
                ours, theirs = (median(one[mode][key] for one in report["rounds"][side]) for side in (name, "mobius"))
                no_media = key == "encode_s" and mode == "text"
                cells.append("–" if no_media else f"{three_digits(theirs * 1000)}, {ours / theirs:.2f}×")
            lines.append(cells)
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    machine = report["machine"]
    return f"{table}\n\nMedians of {report['settings']['rounds']} rounds. {machine['cpu']}, {machine['cpus']} CPUs.\n"


def main(
    work: Annotated[Path, typer.Option(help="Where checkpoint, exports and results go (2 GB).")],
    python: Annotated[str, typer.Option(help="Interpreter that has mobius-onnx; made when absent.")] = "",
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    steps: Annotated[int, typer.Option(min=1, help="Tokens after each prompt.")] = 32,
    threads: Annotated[int, typer.Option(min=1)] = 2,
) -> None:
    work = work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    make_checkpoints(work)
    if not (work / "mobius").exists():
        places = [str(work / name) for name in ("original", "native", "mobius")]
        command = [interpreter(work, python), "-m", "benchmarks.multimodal.mobius_export", *places]
        must(command, work / "logs" / "mobius-export.log")
    for name, options in SIDES.items():
        if not (work / name).exists():
            command = [sys.executable, "-m", "edge.cli.main", "export", str(work / "original"), str(work / name)]
            must([*command, *options], work / "logs" / f"{name}-export.log")
    asked = run_side(work, "float32", {}, steps, threads)
    taken: dict[str, list[dict[str, Any]]] = {name: [] for name in (*SIDES, "mobius")}
    for _ in range(rounds):
        for name, answers in taken.items():
            answers.append(run_side(work, name, asked, steps, threads))
    report: dict[str, Any] = {
        "schema": 1,
        "machine": machine_facts(),
        "settings": {"rounds": rounds, "steps": steps, "threads": threads},
        "prompt_tokens": {mode: len(asked[mode]["ids"]) for mode in MODES},
        "agreement": {name: agreement(work, name) for name in SIDES},
        "rounds": {
            name: [{mode: {key: one[mode][key] for key in TIMES} for mode in MODES} for one in answers]
            for name, answers in taken.items()
        },
    }
    (work / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    (work / "report.md").write_text(markdown(report))
    typer.echo(markdown(report))
    if any(one["same_argmax"] < 1 for one in report["agreement"]["float32"].values()):
        typer.echo("error: the float32 bundle and mobius-onnx disagree", err=True)
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
