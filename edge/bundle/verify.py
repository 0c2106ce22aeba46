"""Every byte of a bundle against the hashes in its bundle.json."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge.bundle.bundle import Bundle, graph_problems, layout_problems
from edge.bundle.files import Progress, hash_file, open_regular
from edge.errors import BundleError


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """`problems` are phrases without a full stop; none means that the bundle is whole. `digest` as in Bundle."""

    path: Path
    digest: str
    files: int
    bytes: int
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.problems


def verify(bundle: Bundle | Path, progress: Progress | None = None) -> VerifyReport:
    """Hash every file of a bundle, or of the directory that should be one. Damage is reported, not raised."""
    path = bundle.path if isinstance(bundle, Bundle) else bundle
    try:
        # read again, because the directory may have changed since the bundle was opened
        current = Bundle.read_manifest(path)
    except BundleError as error:
        return VerifyReport(path, "", 0, 0, (str(error).removesuffix("."),))
    problems = layout_problems(current)
    files = current.manifest.files
    total = current.bytes
    done = 0
    for name, info in files.items():

        def advance(count: int, name: str = name) -> None:
            nonlocal done
            done += count
            if progress:
                progress(name, done, total)

        if name in problems:
            continue
        try:
            if _hash(current.path, name, advance) != info.sha256:
                problems[name] = f"{name} is damaged: its contents do not match their SHA-256"
        except BundleError as error:
            problems[name] = str(error).removesuffix(".")
    problems = problems or graph_problems(current)
    return VerifyReport(current.path, current.digest, len(files), total, tuple(problems.values()))


def _hash(root: Path, name: str, advance: Callable[[int], None]) -> str:
    fd = open_regular(root, name)
    try:
        return hash_file(fd, advance)
    except OSError as error:
        raise BundleError(f"{name} cannot be read: {error.strerror}.") from None
    finally:
        os.close(fd)
