"""Text that shows a quantiser what flows through a model: a user's own, or what every Python installation carries."""

import hashlib
import inspect
from collections.abc import Iterator
from pathlib import Path

from edge.errors import InputError
from edge.evaluation.labels import LABELS

TEXT_SUFFIXES = (".txt", ".md", ".csv", ".py")
MAX_BYTES = 64 << 20
DEFAULT_MEDIA = Path(__file__).parent / "media"
TOPICS = ("specialnames", "string-methods", "formatstrings", "debugger", "typesmapping", "assignment", "comparisons",
          "execmodel", "import", "calls", "identifiers", "binary", "raise")  # fmt: skip
"""Prose of Python's language reference; `benchmarks.fidelity` measures with other topics."""


def calibration_texts(folder: Path | None = None) -> list[str]:
    """The text files of `folder`; the default ones without a folder, or for one that has recordings and pictures only.
    Raises InputError for a folder with nothing in it."""
    if folder is None:
        return list(_default())
    paths = sorted(path for path in folder.rglob("*") if path.suffix in TEXT_SUFFIXES and path.is_file())
    texts = [path.read_text("utf-8", errors="replace") for path in paths if path.stat().st_size <= MAX_BYTES]
    if not any(text.strip() for text in texts):
        if (folder / LABELS).exists():
            return list(_default())
        raise InputError(
            f"{folder} holds no text to calibrate with", f"put files there that end in {', '.join(TEXT_SUFFIXES)}"
        )
    return texts


def digest(folder: Path | None) -> str:
    """Changes with what `folder` holds: an export that is resumed must go on with the same."""
    found = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()) if folder else []:
        with path.open("rb") as file:
            found.update(f"{path}:".encode() + hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()


def _default() -> Iterator[str]:
    import argparse
    import textwrap
    import zipfile
    from pydoc_data import topics

    for name in TOPICS:
        if name in topics.topics:
            yield topics.topics[name]
    for module in (argparse, textwrap, zipfile):
        yield inspect.getsource(module)
