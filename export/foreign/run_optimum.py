"""Optimum in a process of its own: a checkpoint becomes a float ONNX folder."""

import os
import subprocess
import sys
from pathlib import Path

from edge.errors import CheckpointError, UsageError

PYTHON = "EDGE_OPTIMUM_PYTHON"
"""Names an interpreter that has optimum-onnx. Its versions of transformers and huggingface-hub are older than those
of our other extras, so it often needs an environment of its own."""

PACKAGE = "optimum-onnx"
OPSET = 18
"""The first one with all that our int8 activations need; Optimum's own choice is lower for older architectures."""

_ASK = f"from importlib.metadata import version; version('{PACKAGE}'); import torch"


def interpreter() -> str:
    """Of the environment with optimum-onnx and torch: this one's, or the one that the user names. Raises UsageError."""
    python = os.environ.get(PYTHON) or sys.executable
    try:
        found = subprocess.run([python, "-c", _ASK], capture_output=True, check=False).returncode == 0
    except OSError as error:
        raise UsageError(f"{PYTHON} names {python}, which does not run: {error.strerror}", "name another one") from None
    if not found:
        raise UsageError(
            f"--exporter optimum needs the packages {PACKAGE} and torch, which {python} lacks",
            f'pip install "phi-edge[optimum]", or set {PYTHON} to a Python that has them',
        )
    return python


def run_optimum(python: str, source: Path, out: Path, log: Path) -> None:
    """Exports the Hugging Face directory `source` with a KV cache, in float32, to the folder `out`; what Optimum says
    goes into `log`. No code of the checkpoint's own is run, and nothing is downloaded. Raises CheckpointError."""
    if not (source / "config.json").is_file():
        raise CheckpointError(f"{source} is not a Hugging Face directory: it has no config.json", "name another one")
    arguments = ["--model", str(source.absolute()), "--task", "text-generation-with-past"]
    arguments += ["--dtype", "fp32", "--opset", str(OPSET), str(out)]
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    with log.open("wb") as file:
        done = subprocess.run(
            [python, "-m", "optimum.exporters.onnx", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=os.environ | offline,
            check=False,
        )
    if done.returncode:
        raise CheckpointError(f"Optimum cannot export {source.name}: {_last_line(log, done.returncode)}", _HINT)


_HINT = "optimum-onnx lists the architectures that it knows; ours need no --exporter"


def _last_line(log: Path, code: int) -> str:
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    return ascii(lines[-1][:300])[1:-1] if lines else f"it ended with code {code}"
