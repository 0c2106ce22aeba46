"""Prepacked weights for this CPU, made once: later starts map them instead of packing and copying.

The bundle stays as it is; the result lies in the user's cache, keyed by bundle, CPU and onnxruntime version, because
the packed layout depends on all three. A missing or foreign entry only means a slower start.
"""

import hashlib
import os
import platform
from dataclasses import dataclass
from pathlib import Path

import onnxruntime as ort
import platformdirs

from edge.bundle.bundle import Bundle
from edge.bundle.files import require_space
from edge.bundle.staging import StagedDirectory
from edge.runtime.session import open_session, session_options

MAPPED_FROM_BYTES = 1024
WEIGHTS = "weights.bin"


@dataclass(frozen=True, slots=True)
class TuneReport:
    path: Path
    bytes: int
    made: bool
    """False when it was there already."""


def cpu_key() -> str:
    """Changes with anything that changes the packed layout: CPU model, instruction sets, onnxruntime."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        described = sorted({line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))})
    except OSError:
        described = [platform.processor()]
    return hashlib.sha256("\n".join([ort.__version__, platform.machine(), *described]).encode()).hexdigest()[:16]


def tuned_directory(bundle: Bundle) -> Path:
    """In the user's cache directory, or below EDGE_HOME."""
    own = os.environ.get("EDGE_HOME")
    cache = Path(own).expanduser() / "cache" if own else Path(platformdirs.user_cache_dir("phi-edge", False))
    return cache.absolute() / "tuned" / f"{bundle.digest[:16]}-{cpu_key()}"


def tuned_graph(bundle: Bundle, graph: str) -> Path | None:
    """The tuned copy of a graph of this bundle for this CPU, if there is one."""
    path = tuned_directory(bundle) / graph
    return path if path.is_file() and path.with_name(WEIGHTS).is_file() else None


def tune(bundle: Bundle, threads: int = 0) -> TuneReport:
    """Saves every graph with prepacked weights. Raises ResourceError when the disk is too small."""
    target = tuned_directory(bundle)
    if target.exists():
        return TuneReport(target, _size(target), False)
    target.parent.mkdir(parents=True, exist_ok=True)
    require_space(target.parent, int(bundle.bytes * 2.3), "The tuned copy")
    with StagedDirectory(target) as staged:
        for graph in bundle.manifest.graphs.values():
            options = session_options(threads)
            options.optimized_model_filepath = str(staged.path / graph)
            for key, value in (
                ("session.optimized_model_external_initializers_file_name", WEIGHTS),
                ("session.optimized_model_external_initializers_min_size_in_bytes", str(MAPPED_FROM_BYTES)),
                ("session.save_external_prepacked_constant_initializers", "1"),
            ):
                options.add_session_config_entry(key, value)
            open_session(bundle.file(graph), options)
        staged.commit()
    return TuneReport(target, _size(target), True)


def _size(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.iterdir())
