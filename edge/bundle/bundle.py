"""An opened bundle: a directory whose files are there, of the right size, and point nowhere else."""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from edge.bundle.external_data import MAX_GRAPH_BYTES, check_external_data
from edge.bundle.files import irregular, read_regular
from edge.bundle.manifest import MANIFEST, MAX_MANIFEST_BYTES, Manifest
from edge.bundle.names import MAX_DEPTH, shown
from edge.errors import BundleError

UNLISTED = ("README", "README.md", "LICENSE", "LICENSE.txt", "LICENSE.md")
_HINT = "See all that is wrong: edge bundle verify {}"


@dataclass(frozen=True, slots=True)
class Bundle:
    """`digest` is the SHA-256 of bundle.json, and so, through the hashes in it, of the whole bundle.

    A foreign folder has no bundle.json; `template` is its chat template, wherever it was found (see edge.foreign).
    """

    path: Path
    manifest: Manifest
    digest: str
    template: str = ""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Check names, kinds and sizes of all files and where the graphs point; contents are not hashed.

        Raises BundleError.
        """
        bundle = cls.read_manifest(path)
        problems = [*(layout_problems(bundle) or graph_problems(bundle)).values()]
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise BundleError(f"Bundle {bundle.path}: {problems[0]}{more}.", _HINT.format(bundle.path))
        return bundle

    @classmethod
    def read_manifest(cls, path: Path) -> Self:
        """The bundle without a look at any file but bundle.json. Raises BundleError."""
        if not os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises when a parent is locked
            raise BundleError(f"{path} is not a bundle directory.", "List the installed bundles: edge bundle list")
        # resolved, because the runtime refuses weights that are reached through a link
        path = path.resolve()
        data = read_regular(path, MANIFEST, MAX_MANIFEST_BYTES)
        return cls(path, Manifest.from_json(data), hashlib.sha256(data).hexdigest())

    def file(self, name: str) -> Path:
        """The path of a file that bundle.json lists. Raises BundleError."""
        if name not in self.manifest.files:
            raise BundleError(f"Bundle {self.path} has no file {shown(name)}.", _HINT.format(self.path))
        return self.path / name

    @property
    def bytes(self) -> int:
        """Size of all listed files together."""
        return sum(info.size for info in self.manifest.files.values())


def layout_problems(bundle: Bundle) -> dict[str, str]:
    """File name -> phrase, for each that is missing, of another size or kind, or too much."""
    files = bundle.manifest.files
    problems = {name: f"{name} is missing" for name in files}
    try:
        for name, info in _walk(bundle.path, "", 1):
            problems.pop(name, None)
            words = irregular(info, bundle.path)
            if name not in files and name not in (MANIFEST, *UNLISTED):
                problems[name] = f"{shown(name)} does not belong to the bundle"
            elif words:
                problems[name] = f"{name} is {words}, not a regular file"
            elif name in files and info.st_size != files[name].size:
                problems[name] = f"{name} has {info.st_size} bytes, but should have {files[name].size}"
    except OSError as error:
        problems[""] = f"the directory cannot be listed: {error.strerror}"
    return problems


def _walk(root: Path, prefix: str, depth: int) -> Iterator[tuple[str, os.stat_result]]:
    """Every entry below `root` that is not a directory, and directories too deep or empty to hold a file."""
    with os.scandir(root / prefix) as entries:
        for entry in sorted(entries, key=lambda one: one.name):
            name = prefix + entry.name
            info = entry.stat(follow_symlinks=False)
            inside = stat.S_ISDIR(info.st_mode) and depth < MAX_DEPTH
            listed = list(_walk(root, name + "/", depth + 1)) if inside else []
            yield from listed or [(name, info)]


def graph_problems(bundle: Bundle) -> dict[str, str]:
    """File name -> phrase, for each ONNX graph that takes its weights from where it must not."""
    sizes = {name: info.size for name, info in bundle.manifest.files.items()}
    problems = {}
    for name in sizes:
        if name.lower().endswith(".onnx"):
            try:
                check_external_data(read_regular(bundle.path, name, MAX_GRAPH_BYTES), name, sizes)
            except BundleError as error:
                problems[name] = str(error).removesuffix(".")
    return problems
