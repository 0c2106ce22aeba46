"""A checkpoint that another exporter traces becomes a bundle of ours."""

import hashlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from edge import __version__
from edge.bundle.bundle import Bundle
from edge.bundle.files import disk_errors, require_space, write_bytes_durably
from edge.bundle.manifest import CONTRACT_SCHEMA, MANIFEST, FileInfo, Manifest
from edge.bundle.names import name_fault
from edge.bundle.staging import StagedDirectory
from edge.errors import BundleError, CheckpointError, UsageError
from edge.foreign.folder import open_foreign
from edge.foreign.texts import TOKENIZER
from edge.prompt.formats.jinja import TEMPLATE_FILE
from export.architectures.weights import Recipe
from export.calibration.fidelity import Fidelity
from export.exporter import FIDELITY
from export.foreign.fidelity import check, measure
from export.foreign.onnx_tensors import OnnxTensors
from export.foreign.rewrite import ROWS, Rewriting, plan_rewriting
from export.foreign.run_optimum import PACKAGE, interpreter, run_optimum
from export.graphs import WEIGHTS
from export.options import FLOAT_BITS, ExportOptions
from export.weights.writer import WeightsWriter

GRAPH = "text.onnx"
SCRATCH, JOURNAL = ".traced", ".journal"
TEXTS = (TOKENIZER, TEMPLATE_FILE, "tokenizer_config.json", "generation_config.json")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class ForeignReport:
    out: Path
    seconds: float
    traced_s: float
    """What Optimum took of it."""
    bundle_bytes: int
    fidelity: Fidelity | None


def check_options(options: ExportOptions) -> None:
    """Raises UsageError for what only graphs of ours have."""
    asked = {
        "--recipe": options.named,
        "--kv-bits 8": options.int8_cache,
        "--fast-prefill": options.fast_prefill,
        "--max-ram": options.max_ram,
        "--target qnn": options.fixed,
    }
    if first := next((flag for flag, wanted in asked.items() if wanted), ""):
        raise UsageError(f"{first} needs a graph of ours, and --exporter optimum traces one", f"leave out {first}")


def export_with_optimum(
    source: Path, out: Path, options: ExportOptions, progress: Progress = lambda *_: None
) -> ForeignReport:
    """Writes the bundle to `out`, which must not exist: all of it, or nothing.

    Raises UsageError, CheckpointError or ResourceError.
    """
    if fault := name_fault(out.name):
        raise UsageError(f"{out.name!r} cannot be the name of a bundle: it {fault}", "choose another name for OUT")
    check_options(options)
    recipe = replace(options.recipe(), fitted=True)
    python = interpreter()
    started = time.monotonic()
    with StagedDirectory(out) as staged, disk_errors(out):
        traced = staged.path / SCRATCH
        run_optimum(python, source, traced, staged.path / f"{SCRATCH}.log")
        traced_s = time.monotonic() - started
        for name in TEXTS:  # Optimum has saved what transformers made of them
            if (source / name).is_file():
                shutil.copyfile(source / name, traced / name)
        try:
            folder = open_foreign(traced)
        except BundleError as error:
            message = str(error).replace(SCRATCH, source.name).removesuffix(".")
            raise CheckpointError(f"{message}, as Optimum has exported it", error.hint) from None
        manifest = write_bundle(folder, staged.path, out.name, recipe, progress)
        manifest.provenance.update(source=source.name, traced_by=PACKAGE)
        fidelity = None
        if options.fidelity and options.bits != FLOAT_BITS:
            fidelity = measure(folder, Bundle(staged.path, manifest, ""))
            check(fidelity.modes["text"], options.kl_limit)
            _add(staged.path, FIDELITY, fidelity.to_json(), manifest)
        write_bytes_durably(staged.path / MANIFEST, manifest.to_json())
        shutil.rmtree(traced)
        (staged.path / f"{SCRATCH}.log").unlink()
        staged.commit()
    size = sum(file.size for file in manifest.files.values())
    return ForeignReport(out, time.monotonic() - started, traced_s, size, fidelity)


def write_bundle(folder: Bundle, directory: Path, name: str, recipe: Recipe, progress: Progress) -> Manifest:
    """Everything but bundle.json, from a float folder; the manifest is returned. Raises CheckpointError."""
    given = folder.manifest
    assert given.contract
    if given.decoder.kv_bits != 32:
        raise CheckpointError(f"{name} was traced in float16", "export it in float32")
    tensors = OnnxTensors(folder.path / given.graphs["text"])
    rewriting = plan_rewriting(tensors, given.decoder.vocab_size, given.contract.logits, recipe)
    total = rewriting.weights[-1].sections[-1].end
    require_space(directory, total, f"the bundle {name}")
    with WeightsWriter(directory / WEIGHTS, directory / JOURNAL, tensors.fingerprint()) as writer:
        for weight in writer.write(rewriting.weights, tensors):
            progress(weight.source.name, weight.sections[-1].end, total)
    (directory / JOURNAL).unlink()
    manifest = _manifest(given, name, rewriting, {WEIGHTS: FileInfo(writer.length, writer.sha256)})
    texts = {GRAPH: rewriting.graph(), TOKENIZER: folder.file(TOKENIZER).read_bytes()}
    if given.chat.format == "jinja":
        texts[TEMPLATE_FILE] = folder.template.encode()
    for file, data in texts.items():
        _add(directory, file, data, manifest)
    return _checked(manifest)


def _add(directory: Path, file: str, data: bytes, manifest: Manifest) -> None:
    write_bytes_durably(directory / file, data)
    manifest.files[file] = FileInfo(len(data), hashlib.sha256(data).hexdigest())


def _manifest(given: Manifest, name: str, rewriting: Rewriting, files: dict[str, FileInfo]) -> Manifest:
    assert given.contract
    return replace(
        given,
        name=name,
        graphs={"text": GRAPH},
        quantisation=rewriting.groups(),
        provenance={"created_by": f"phi-edge {__version__}", "source_kind": "onnx", "quantiser": "rtn"},
        files=files,
        schema=CONTRACT_SCHEMA,
        contract=replace(given.contract, rows=ROWS if rewriting.rows else given.contract.rows),
    )


def _checked(manifest: Manifest) -> Manifest:
    try:
        Manifest.from_json(manifest.to_json())
    except BundleError as error:
        raise CheckpointError(f"{manifest.name} makes no valid bundle: {error}", "is config.json complete?") from None
    return manifest
