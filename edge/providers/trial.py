"""A processor proves itself before it is used: the same probes there, in a child process, and on the CPU."""

import json
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.bundle.bundle import Bundle
from edge.providers.plugin import Plugin
from edge.providers.probes import ENCODERS, Probe, probe, relative_error
from edge.providers.trial_child import REFUSED, Request
from edge.runtime.decoder import Decoder
from edge.runtime.encoder import Encoders

LIMIT_S = 900.0
"""For the whole trial: compiling a model of 4 B parameters takes a neural processor's compiler minutes."""

MOST_ERROR = 0.1
"""The CPU multiplies with int8 activations, which alone makes 3 % of logits; a processor in float16 adds 1 %."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one part of a bundle on one processor. `fault` is why it must not be used, "" if it may; seconds of a turn, or
    of an encoder's call, there and on the CPU (0: not measured)."""

    part: str
    fault: str
    error: float = 0.0
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def correct(self) -> bool:
        return not self.fault

    @property
    def faster(self) -> bool:
        return self.correct and self.seconds < self.cpu_seconds

    @property
    def words(self) -> str:
        """Such as "text is wrong: …" or "text: 0.41 s, the CPU 1.20 s"."""
        if self.fault:
            return f"{self.part} {self.fault}"
        return f"{self.part}: {self.seconds:.2f} s, the CPU {self.cpu_seconds:.2f} s"


def try_processor(
    bundle: Bundle, plugin: Plugin, parts: Sequence[str], threads: int = 0, limit_s: float = LIMIT_S
) -> list[Verdict]:
    """A verdict for each part. Only the CPU's side runs in this process."""
    with tempfile.TemporaryDirectory(prefix="edge-trial-") as name:
        folder = Path(name)
        fault = _run_child(Request(plugin, bundle.path, list(parts), threads, folder), limit_s)
        encoders = Encoders.of(bundle, threads)
        verdicts = []
        for part in parts:
            if (found := _read(folder, part)) is None:
                verdicts.append(Verdict(part, fault or "gave no result"))
                continue
            decoder = None if part in ENCODERS else Decoder.load(bundle, threads, part)
            expected = probe(part, bundle.manifest, decoder, encoders)
            error = relative_error(found.values, expected.values)
            wrong = f"is wrong: {error:.0%} off the CPU's result" if error > MOST_ERROR else ""
            verdicts.append(Verdict(part, wrong, error, found.seconds, expected.seconds))
        return verdicts


def _run_child(request: Request, limit_s: float) -> str:
    """Why it did not come to its end, "" if it did."""
    command = [sys.executable, "-m", "edge.providers.trial_child"]
    try:
        ended = subprocess.run(command, input=pickle.dumps(request), capture_output=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        return f"did not finish within {limit_s:.0f} s"
    if ended.returncode == REFUSED:
        return f"is refused: {ended.stderr.decode(errors='replace').strip().splitlines()[-1][:200]}"
    if ended.returncode < 0:
        return f"crashes ({signal.Signals(-ended.returncode).name})"
    if ended.returncode:
        return f"fails: {(ended.stderr.decode(errors='replace').strip() or '?').splitlines()[-1][:200]}"
    return ""


def _read(folder: Path, part: str) -> Probe | None:
    """None for what the child did not finish, or wrote badly."""
    try:
        seconds = float(json.loads((folder / f"{part}.json").read_text())["seconds"])
        return Probe(np.load(folder / f"{part}.npy", allow_pickle=False), seconds)
    except (OSError, ValueError, KeyError, TypeError):
        return None
