"""One file over HTTP into a directory: continued where it stopped, and hashed before it counts as there.

huggingface_hub's own downloader throws a partial file away when its process ends; for weights of several
gigabytes on a slow line that is a restart from zero, so only its HTTP session is used here.
"""

import hashlib
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.bundle.files import disk_errors, read_chunks, write_all
from edge.errors import PullError

TIMEOUT_S = 30.0
TRIES = 5
"""Attempts in a row that bring no byte before the download is given up."""

_TRANSIENT = (408, 429, 500, 502, 503, 504)
AGAIN = "Run the same command again: what has arrived is kept and continued."


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a repository: its size in bytes, and the hash under which its contents are known there.

    `sha256` is known for large files; the others have git's blob id, SHA-1 over 'blob SIZE\\0' + contents.
    """

    name: str
    url: str
    size: int
    sha256: str
    blob_id: str

    def matches(self, path: Path) -> bool:
        """Whether the file at `path` has the contents that the repository promises."""
        digest = hashlib.sha256()
        if not self.sha256:
            digest = hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            for piece in read_chunks(fd):
                digest.update(piece)
        finally:
            os.close(fd)
        return digest.hexdigest() == (self.sha256 or self.blob_id)


def fetch(
    session: Any, headers: dict[str, str], file: RemoteFile, target: Path, advance: Callable[[int], None]
) -> None:
    """`target` holds all of `file`, checked against its hash; bytes already there are kept when they are right.

    `session` is an httpx client; `advance` gets the number of bytes that came closer to the end (negative when
    some were thrown away). Raises PullError (the partial file stays, unless its contents are wrong),
    ResourceError, UsageError, and httpx errors other than broken connections.
    """
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(target, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            continued = _usable_size(fd, file.size)
            advance(continued)
            _receive(session, headers, file, fd, advance)
            if continued and not file.matches(target):
                # the earlier part may have suffered from a power cut, so it gets one fresh start
                advance(-file.size)
                os.ftruncate(fd, 0)
                continued = 0
                _receive(session, headers, file, fd, advance)
        finally:
            os.close(fd)
        if not continued and not file.matches(target):
            target.unlink()
            raise PullError(
                f"{file.name} arrived damaged: its contents do not match the hash that the hub gives.",
                "Run the same command again; if it stays so, a proxy on the way changes the data.",
            )


def _usable_size(fd: int, size: int) -> int:
    """How many bytes of an earlier attempt are there; more than `size` cannot be right and are dropped."""
    info = os.fstat(fd)
    if not stat.S_ISREG(info.st_mode) or info.st_size > size:
        os.ftruncate(fd, 0)
    return os.fstat(fd).st_size


def _receive(session: Any, headers: dict[str, str], file: RemoteFile, fd: int, advance: Callable[[int], None]) -> None:
    """Append to `fd` until it has `file.size` bytes, over as many connections as that takes."""
    from huggingface_hub.errors import HTTPError

    fruitless = 0
    while (have := os.fstat(fd).st_size) < file.size:
        try:
            failure = _receive_once(session, headers, file, fd, advance)
        except HTTPError as error:
            if hasattr(error, "response"):
                raise
            failure = f"the connection broke ({type(error).__name__})"
        if os.fstat(fd).st_size > have:
            fruitless = 0
            continue
        fruitless += 1
        if fruitless >= TRIES:
            raise PullError(f"{file.name} stopped at {have} of {file.size} bytes: {failure}.", AGAIN)
        time.sleep(min(8.0, 0.25 * 2**fruitless))


def _receive_once(
    session: Any, headers: dict[str, str], file: RemoteFile, fd: int, advance: Callable[[int], None]
) -> str:
    """One GET of the bytes that are still missing; returns why it ended. Raises PullError, httpx errors."""
    from huggingface_hub.utils import hf_raise_for_status

    have = os.lseek(fd, 0, os.SEEK_END)
    # compressed transfer would make byte positions meaningless
    wanted = headers | {"accept-encoding": "identity"} | ({"range": f"bytes={have}-"} if have else {})
    with session.stream("GET", file.url, headers=wanted, timeout=TIMEOUT_S) as answer:
        if answer.status_code in _TRANSIENT:
            return f"the server answers {answer.status_code}"
        hf_raise_for_status(answer)
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise PullError(f"The server sends {file.name} compressed, which cannot be continued.", AGAIN)
        starts = answer.headers.get("content-range", "").startswith(f"bytes {have}-")
        if have and not (answer.status_code == 206 and starts):
            os.ftruncate(fd, 0)
            os.lseek(fd, 0, os.SEEK_SET)
            advance(-have)
            have = 0
        for piece in answer.iter_raw():
            have += len(piece)
            if have > file.size:
                os.ftruncate(fd, 0)
                raise PullError(f"The server sends more than the {file.size} bytes of {file.name}.", AGAIN)
            write_all(fd, piece)
            advance(len(piece))
    return "the server ended the answer early"
