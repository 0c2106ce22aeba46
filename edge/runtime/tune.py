"""Prepacked weights for this CPU, made once: later starts map them instead of packing and copying.

The bundle stays as it is; the result lies in the user's cache. Beside it lies a record of what it was made from and
of its own files; whatever differs from it at a start makes the copy unused, which only means a slower start.
"""

import hashlib
import json
import os
import platform
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import onnxruntime as ort
import platformdirs

from edge.bundle.bundle import Bundle
from edge.bundle.files import hash_file, require_space, write_bytes_durably
from edge.bundle.manifest import FIXED
from edge.bundle.staging import StagedDirectory
from edge.bundle.verify import verify
from edge.errors import BundleError
from edge.runtime.session import open_session, session_options
from edge.runtime.shared_weights import SharedWeights

MAPPED_FROM_BYTES = 1024
RECORD = "tuned.json"
WEIGHTS = "tuned.bin"
MAX_RECORD_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class TuneReport:
    path: Path
    bytes: int
    made: bool
    """False when a sound one was there already."""


@dataclass(frozen=True, slots=True)
class _File:
    size: int
    mtime_ns: int
    sha256: str


def cpu_key() -> str:
    """Changes with anything that changes the packed layout: CPU model, instruction sets, onnxruntime."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        described = sorted({line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))})
    except OSError:
        described = [platform.processor()]
    return hashlib.sha256("\n".join([ort.__version__, platform.machine(), *described]).encode()).hexdigest()[:16]


def cache_directory() -> Path:
    """The user's, or below EDGE_HOME."""
    own = os.environ.get("EDGE_HOME")
    cache = Path(own).expanduser() / "cache" if own else Path(platformdirs.user_cache_dir("phi-edge", False))
    return cache.absolute()


def tuned_directory(bundle: Bundle) -> Path:
    return cache_directory() / "tuned" / f"{bundle.digest[:16]}-{cpu_key()}"


def tuned_copy(bundle: Bundle) -> Path | None:
    """The directory of tuned graphs of this bundle for this CPU, if there is one and nobody has touched it since."""
    directory = tuned_directory(bundle)
    return directory if directory.is_dir() and not tuned_fault(bundle) else None


def tuned_graph(bundle: Bundle, graph: str) -> Path | None:
    """The tuned copy of a graph, if there is one."""
    directory = tuned_copy(bundle)
    return directory / graph if directory else None


def graph_path(bundle: Bundle, name: str) -> Path | None:
    """Where to load the graph that bundle.json calls `name` from: its tuned copy, or the bundle. None if it has none.

    Raises BundleError.
    """
    file = bundle.manifest.graphs.get(name)
    return (file and (tuned_graph(bundle, file) or bundle.file(file))) or None


def tuned_fault(bundle: Bundle, hash_weights: bool = False) -> str:
    """Why the tuned copy of this bundle must not be used, "" when it may.

    Graphs are hashed; weights only with `hash_weights`, because reading them all is what tuning saves. Otherwise
    size and time of last change stand for them.
    """
    directory = tuned_directory(bundle)
    try:
        with (directory / RECORD).open("rb") as file:
            record = json.loads(file.read(MAX_RECORD_BYTES))
        if record["made_from"] != _made_from(bundle):
            return "it was made from another bundle, or for another CPU or onnxruntime"
        files = {name: _File(**info) for name, info in record["files"].items()}
        if not {*_graphs(bundle)} <= files.keys():
            return "it lacks a graph"
        for name, expected in files.items():
            if _describe(directory / name, hash_weights or name.endswith(".onnx"), expected) != expected:
                return f"{name} has changed"
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return "it is incomplete or damaged"
    return ""


def tune(bundle: Bundle, threads: int = 0) -> TuneReport:
    """Saves every graph with prepacked weights.

    Raises BundleError when the bundle is damaged, which its copy would hide, and ResourceError when the disk is full.
    """
    target = tuned_directory(bundle)
    if target.exists() and not tuned_fault(bundle, hash_weights=True):
        return TuneReport(target, _size(target), False)
    if problems := verify(bundle).problems:
        raise BundleError(f"Bundle {bundle.path} is damaged: {problems[0]}.", f"edge bundle verify {bundle.path}")
    target.parent.mkdir(parents=True, exist_ok=True)
    require_space(target.parent, int(bundle.bytes * 2.3), "The tuned copy")
    with StagedDirectory(target, replace=True) as staged:
        _prepack_all(bundle, staged.path, threads)
        files = {file.name: asdict(_describe(file, True)) for file in sorted(staged.path.iterdir())}
        record = json.dumps({"made_from": _made_from(bundle), "files": files}, indent=1)
        write_bytes_durably(staged.path / RECORD, record.encode())
        staged.commit()
    return TuneReport(target, _size(target), True)


def _prepack_all(bundle: Bundle, out: Path, threads: int) -> None:
    """One weights file for all graphs; each is saved aside first, complete, and then only what is new is kept."""
    with SharedWeights(out / WEIGHTS) as shared:
        for graph in _graphs(bundle):
            alone = out / f".{graph}"
            alone.mkdir()
            _prepack(bundle.file(graph), alone / graph, threads)
            own = alone / f"{Path(graph).stem}.bin"
            (out / graph).write_bytes(shared.move(alone / graph, own) if own.exists() else (alone / graph).read_bytes())
            shutil.rmtree(alone)


def _graphs(bundle: Bundle) -> list[str]:
    """Files of those for the CPU."""
    return [file for name, file in bundle.manifest.graphs.items() if not name.startswith(FIXED)]


def _prepack(graph: Path, out: Path, threads: int) -> None:
    options = session_options(threads)
    options.optimized_model_filepath = str(out)
    for key, value in (
        ("session.optimized_model_external_initializers_file_name", f"{out.stem}.bin"),
        ("session.optimized_model_external_initializers_min_size_in_bytes", str(MAPPED_FROM_BYTES)),
        ("session.save_external_prepacked_constant_initializers", "1"),
    ):
        options.add_session_config_entry(key, value)
    open_session(graph, options)


def _made_from(bundle: Bundle) -> dict[str, Any]:
    return {"digest": bundle.digest, "cpu": cpu_key(), "onnxruntime": ort.__version__}


def _describe(path: Path, hashed: bool, known: _File | None = None) -> _File:
    """What `path` is now; without `hashed` its hash is taken from `known`. Hashing stops at another size or time."""
    info = path.lstat()
    sha256 = known.sha256 if known else ""
    same = known is None or (info.st_size, info.st_mtime_ns) == (known.size, known.mtime_ns)
    if hashed and same:
        with path.open("rb") as file:
            sha256 = hash_file(file.fileno())
    return _File(info.st_size, info.st_mtime_ns, sha256)


def _size(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.iterdir())
