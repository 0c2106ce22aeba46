"""Carries out a plan: weights, graphs, tokenizer, manifest, then one rename that makes the bundle exist."""

import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from edge.bundle.files import disk_errors, require_space, write_bytes_durably
from edge.bundle.manifest import MANIFEST, FileInfo, Manifest
from edge.bundle.names import name_fault
from edge.bundle.staging import StagedDirectory
from edge.errors import CheckpointError, ResourceError, UsageError
from export.graphs import WEIGHTS, Steps, build_graphs
from export.manifest import build_manifest
from export.npu.graphs import build_fixed_graphs
from export.plan import ExportPlan
from export.weights.layout import PlacedWeight
from export.weights.writer import WeightsWriter

if TYPE_CHECKING:
    from export.calibration.fidelity import Fidelity

JOURNAL, CALIBRATION = ".journal", ".calibration"
FIDELITY, PRECISION = "fidelity.json", "precision.json"
SPARE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Progress:
    """After each weight: bytes of the file so far and in the end, and how many an earlier run had written."""

    name: str
    done_bytes: int
    total_bytes: int
    resumed_bytes: int


@dataclass(frozen=True, slots=True)
class ExportReport:
    out: Path
    seconds: float
    bundle_bytes: int
    weights_sha256: str
    resumed_bytes: int
    fidelity: "Fidelity | None" = None


def run_export(plan: ExportPlan, out: Path, progress: Callable[[Progress], None] = lambda _: None) -> ExportReport:
    """Writes the bundle to `out`, which must not exist.

    Until the last step everything is in a hidden directory beside `out`; a killed export resumes from it and ends
    with the same bytes. Raises UsageError, CheckpointError or ResourceError; a full disk leaves nothing behind.
    """
    if fault := name_fault(out.name):
        raise UsageError(f"{out.name!r} cannot be the name of a bundle: it {fault}", "choose another name for OUT")
    started = time.monotonic()
    fingerprint = plan.fingerprint()
    with StagedDirectory(out, resume=fingerprint[:16]) as staged:
        try:
            with disk_errors(out):
                manifest, writer, fidelity = _write_files(plan, out.name, staged.path, fingerprint, progress)
            staged.commit()
        except (CheckpointError, ResourceError, UsageError):
            # not resumable: the same run would end in the same way, or another one has taken the name
            staged.discard()
            raise
    size = sum(file.size for file in manifest.files.values())
    return ExportReport(out, time.monotonic() - started, size, writer.sha256, writer.resumed_bytes, fidelity)


def _write_files(
    plan: ExportPlan, name: str, directory: Path, fingerprint: str, progress: Callable[[Progress], None]
) -> tuple[Manifest, WeightsWriter, "Fidelity | None"]:
    weights, journal, calibration = directory / WEIGHTS, directory / JOURNAL, directory / CALIBRATION
    for leftover in directory.iterdir():
        if leftover not in (weights, journal, calibration):  # a run that was killed late may leave a half-written file
            leftover.unlink()
    written = weights.stat().st_size if weights.exists() else 0
    require_space(directory, plan.weights_bytes + SPARE_BYTES - written, f"the bundle {name}")
    solved = fidelity = precision = None
    steps: Steps = {}
    if plan.options.calibrated:
        from export.calibration.calibrate import calibrate
        from quant.gptq import quantise_gptq

        done = calibrate(plan, calibration, quantise_gptq, partial(_told, progress))
        plan, solved, fidelity, precision, steps = done.plan, done.solved, done.fidelity, done.precision, done.steps
        fidelity.check(plan.options.kl_limit)
        require_space(directory, plan.weights_bytes + SPARE_BYTES - written, f"the bundle {name}")
    with WeightsWriter(weights, journal, fingerprint) as writer:
        for weight in writer.write(plan.weights, plan.checkpoint, solved):
            progress(Progress(weight.source.name, weight.sections[-1].end, plan.weights_bytes, writer.resumed_bytes))
    manifest = build_manifest(plan, name)
    manifest.files[WEIGHTS] = FileInfo(writer.length, writer.sha256)
    for file, data in chain(build_graphs(plan, steps), build_fixed_graphs(plan, weights), plan.texts.files.items()):
        _add(directory, file, data, manifest)
    if plan.measured:
        from export.calibration.measure import measure

        told = _told(progress, "measured", plan.measured)
        measured = measure(plan, directory, calibration / "measured", told, steps)
        fidelity = fidelity.with_more(measured) if fidelity else measured
        fidelity.check(plan.options.kl_limit)
    if fidelity:
        _add(directory, FIDELITY, fidelity.to_json(), manifest)
    if precision:
        _add(directory, PRECISION, precision.to_json(), manifest)
    write_bytes_durably(directory / MANIFEST, manifest.to_json())
    journal.unlink()
    shutil.rmtree(calibration, ignore_errors=True)
    return manifest, writer, fidelity


def _add(directory: Path, file: str, data: bytes, manifest: Manifest) -> None:
    write_bytes_durably(directory / file, data)
    manifest.files[file] = FileInfo(len(data), hashlib.sha256(data).hexdigest())


def _told(progress: Callable[[Progress], None], verb: str, some: Sequence[PlacedWeight]) -> Callable[[str], None]:
    """Matrices that are weighed, solved or measured, as progress in bytes of all that will be."""
    weights = {weight.source.name: weight for weight in some}
    total, done = sum(weight.bytes for weight in some), 0

    def told(name: str) -> None:
        nonlocal done
        done += weights[name].bytes
        progress(Progress(f"{verb} {name}", done, total, 0))

    return told
