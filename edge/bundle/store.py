"""The user's bundles, one directory each below the data directory of this system or EDGE_HOME, and the embedded one.

Without -b (and EDGE_BUNDLE, on the command line) runs the bundle that is installed under the name `default`, or else
the embedded one.
"""

import difflib
import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from edge.bundle.bundle import UNLISTED, Bundle
from edge.bundle.embedded import EMBEDDED
from edge.bundle.files import (
    Progress,
    disk_errors,
    open_regular,
    read_chunks,
    require_space,
    write_all,
)
from edge.bundle.manifest import MANIFEST
from edge.bundle.names import name_fault, shown
from edge.bundle.staging import StagedDirectory, remove_directory, remove_stale
from edge.bundle.verify import verify
from edge.errors import BundleError, UsageError

DEFAULT_NAME = "default"


@dataclass(frozen=True, slots=True)
class Installed:
    """One entry of the store; `bundle` is None when it cannot be opened, and `problem` then says why."""

    name: str
    path: Path
    bundle: Bundle | None
    problem: str = ""
    embedded: bool = False


def home() -> Path:
    """Where phi-edge keeps its data: EDGE_HOME, or the user's data directory on this system."""
    own = os.environ.get("EDGE_HOME")
    return Path(own).expanduser().absolute() if own else Path(platformdirs.user_data_dir("phi-edge", False))


def bundles_dir() -> Path:
    return home() / "bundles"


def installed_names() -> list[str]:
    """Sorted names; hidden directories are work in progress."""
    root = bundles_dir()
    if not root.is_dir():
        return []
    return sorted(one.name for one in root.iterdir() if one.is_dir() and name_fault(one.name) is None)


def list_installed() -> list[Installed]:
    """Every installed bundle, damaged ones included, and at last the embedded one."""
    paths = [bundles_dir() / name for name in installed_names()]
    if EMBEDDED.is_dir():
        paths.append(EMBEDDED)
    return [_entry(path) for path in paths]


def _entry(path: Path) -> Installed:
    try:
        return Installed(path.name, path, Bundle.open(path), embedded=path == EMBEDDED)
    except BundleError as error:
        return Installed(path.name, path, None, str(error), path == EMBEDDED)


def resolve(name_or_path: str | Path) -> Path:
    """The directory of an installed name, of the embedded bundle's, or of a path, in this order; a path may also be
    that of a graph, in a folder of another exporter.

    Raises BundleError that lists what is installed.
    """
    text = str(name_or_path)
    if name_fault(text) is None and (bundles_dir() / text).is_dir():
        return bundles_dir() / text
    if text == EMBEDDED.name and EMBEDDED.is_dir():
        return EMBEDDED
    if Path(text).is_dir() or (text.endswith(".onnx") and Path(text).is_file()):
        return Path(text).absolute()
    raise _not_found(text)


def _not_found(text: str) -> BundleError:
    names = installed_names()
    near = difflib.get_close_matches(text, [*names, EMBEDDED.name], n=1)
    listed = ", ".join(names[:20]) if names else "none yet"
    hint = f"Did you mean {near[0]}? " if near else ""
    return BundleError(
        f"There is no bundle named {shown(text)} and no such directory; installed are: {listed}.",
        f"{hint}Install one: edge bundle install DIRECTORY",
    )


def default_bundle() -> Path:
    """The bundle that runs without -b. Raises BundleError when this installation has lost the embedded one."""
    own = bundles_dir() / DEFAULT_NAME
    path = own if own.is_dir() else EMBEDDED
    if not path.is_dir():
        raise BundleError(
            f"The bundle {EMBEDDED.name}, which is a part of phi-edge, is missing from {EMBEDDED.parent}.",
            "Install phi-edge again, or name another bundle: -b NAME_OR_DIRECTORY",
        )
    return path


def install(source: Path, name: str | None = None, replace: bool = False, progress: Progress | None = None) -> Path:
    """Copy the bundle in directory `source` into the store under `name` (its own one by default), whole or not at all.

    Raises BundleError for a damaged source, UsageError for a bad or taken name, ResourceError when the disk is
    too small or full.
    """
    bundle = Bundle.open(source)
    target = bundles_dir() / checked_name(name or bundle.manifest.name)
    if target.exists() and not replace:
        raise UsageError(
            f"A bundle named {target.name} is already installed.",
            f"Use --name OTHER or --replace, or remove it: edge bundle remove {target.name}",
        )
    require_space(bundles_dir(), bundle.bytes, f"Installing {target.name}")
    with disk_errors(bundles_dir()):
        bundles_dir().mkdir(parents=True, exist_ok=True)
        remove_stale(bundles_dir(), ".*.partial-")
    with StagedDirectory(target, replace) as stage:
        with disk_errors(target):
            _copy(bundle, stage.path, progress)
        report = verify(stage.path)
        if not report.ok:
            raise BundleError(
                f"The bundle in {bundle.path} is damaged: {report.problems[0]}.",
                f"See all that is wrong: edge bundle verify {bundle.path}",
            )
        stage.commit()
    return target


def _copy(bundle: Bundle, to: Path, progress: Progress | None) -> None:
    extras = [name for name in UNLISTED if (bundle.path / name).is_file()]
    done = 0
    for name in [MANIFEST, *extras, *bundle.manifest.files]:
        target = to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        source = open_regular(bundle.path, name)
        copy = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            for piece in read_chunks(source):
                write_all(copy, piece)
                if name in bundle.manifest.files:
                    done += len(piece)
                    if progress:
                        progress(name, done, bundle.bytes)
        finally:
            os.close(copy)
            os.close(source)


def remove(name: str) -> None:
    """The installed bundle `name` vanishes in one step. Raises BundleError when there is none, UsageError for ours."""
    if name_fault(name) is not None or not (bundles_dir() / name).is_dir():
        if name == EMBEDDED.name:
            raise UsageError(
                f"The bundle {name} is a part of phi-edge and cannot be removed.",
                f"Have another one run without -b: edge bundle install DIRECTORY --name {DEFAULT_NAME}",
            )
        raise _not_found(name)
    remove_stale(bundles_dir(), ".*.partial-")
    remove_directory(bundles_dir() / name)


def checked_name(name: str) -> str:
    """`name`, when a bundle may be called so. Raises UsageError."""
    if fault := name_fault(name):
        raise UsageError(f"The bundle name {ascii(name)[:120]} {fault}.", "Choose a plain name with --name.")
    return name
