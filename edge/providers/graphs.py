"""The fixed graphs of one bundle on one plugin's device; what was compiled is kept in the user's cache."""

import json
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

import onnxruntime as ort

from edge.bundle.bundle import Bundle
from edge.bundle.files import write_bytes_durably
from edge.bundle.manifest import FIXED
from edge.bundle.staging import StagedDirectory
from edge.errors import BundleError, DeviceError
from edge.providers.plugin import Plugin
from edge.providers.session import open_on, placement
from edge.runtime.session import open_session, session_options
from edge.runtime.tune import cache_directory

ON_CPU = ("embedding", "patch_order")
"""They only copy rows."""

CONTEXT, RECORD = "graph.onnx", "compiled.json"
MAX_RECORD_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class _Compiled:
    """What the plugin took of the graph, and size and time of last change of each file."""

    nodes: dict[str, int]
    files: dict[str, tuple[int, int]]


class ProcessorGraphs:
    """`placed` says for each opened graph how many of its nodes are on which provider.

    `whole` refuses graphs of which a node would stay on the CPU.
    """

    def __init__(self, bundle: Bundle, plugin: Plugin, threads: int = 0, whole: bool = True) -> None:
        self.plugin, self.placed = plugin, dict[str, dict[str, int]]()
        self._bundle, self._threads, self._whole = bundle, threads, whole
        self._opened: dict[str, ort.InferenceSession] = {}
        self._opening = threading.Lock()

    def open(self, name: str) -> ort.InferenceSession:
        """By its name without the prefix; compiled now if it is not yet. Raises DeviceError, BundleError."""
        with self._opening:
            if name not in self._opened:
                self._opened[name] = self._load(name)
            return self._opened[name]

    def _load(self, name: str) -> ort.InferenceSession:
        file = self._bundle.manifest.graphs.get(FIXED + name)
        if file is None:
            raise BundleError(
                f"the bundle has no graphs of fixed shapes, which {self.plugin.name} needs",
                "make one:  edge export SOURCE OUT --target qnn",
            )
        graph = self._bundle.file(file)
        if name in ON_CPU:
            session = open_session(graph, session_options(self._threads))
            self.placed[name] = {"CPUExecutionProvider": 1}
            return session
        if not self.plugin.contexts:
            session = open_on(self.plugin, graph, self._threads, self._whole)
            self.placed[name] = placement(session)
            return session
        target = compiled_directory(self._bundle, self.plugin) / name
        if record := _record(target):
            try:
                session = open_on(self.plugin, target / CONTEXT, self._threads, self._whole)
            except DeviceError:  # another chip than it was compiled for
                record = None
            else:
                self.placed[name] = record.nodes
                return session
        return self._compiled(name, graph, target)

    def _compiled(self, name: str, graph: Path, target: Path) -> ort.InferenceSession:
        target.parent.mkdir(parents=True, exist_ok=True)
        with StagedDirectory(target, replace=True) as staged:
            session = open_on(self.plugin, graph, self._threads, self._whole, staged.path / CONTEXT)
            self.placed[name] = placement(session)
            if (staged.path / CONTEXT).exists():
                record = _Compiled(self.placed[name], _described(staged.path))
                write_bytes_durably(staged.path / RECORD, json.dumps(asdict(record)).encode())
                staged.commit()
            return session


def compiled_directory(bundle: Bundle, plugin: Plugin) -> Path:
    return cache_directory() / "compiled" / f"{bundle.digest[:16]}-{plugin.name}-{plugin.identity}"


def _record(directory: Path) -> _Compiled | None:
    """None where nothing is, or where it was touched since."""
    try:
        with (directory / RECORD).open("rb") as file:
            told = json.loads(file.read(MAX_RECORD_BYTES))
        record = _Compiled(dict(told["nodes"]), {name: (size, time) for name, (size, time) in told["files"].items()})
        return record if record.files == _described(directory) else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _described(directory: Path) -> dict[str, tuple[int, int]]:
    found = {file.name: file.lstat() for file in sorted(directory.iterdir()) if file.name != RECORD}
    return {name: (info.st_size, info.st_mtime_ns) for name, info in found.items()}
