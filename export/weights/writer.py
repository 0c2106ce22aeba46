"""Appends weights to weights.bin so that a killed export goes on where it was.

Beside the growing file lies a journal: its first line is the fingerprint of the plan, every further line names a
finished weight, the file's length after it and the running SHA-256. A line is written only after the bytes it
speaks of are on the disk; what lies behind the last line is cut off at the next start.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol

from edge.bundle.files import write_bytes_durably
from export.sources.checkpoint import Tensors
from export.weights.encode import encode
from export.weights.layout import PlacedWeight
from quant.packing import PackedRows

SYNC_BYTES = 256 << 20
"""Work that a kill may cost at most."""

READ_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Finished:
    """A line of the journal; `end` is the offset after the weight's last byte."""

    name: str
    end: int
    sha256: str


class Solved(Protocol):
    """Weights that were quantised before."""

    def __contains__(self, name: str) -> bool: ...

    def load(self, name: str) -> PackedRows: ...


class WeightsWriter:
    """Use as a context manager; iterate `write` to its end; then `sha256` is the digest of the whole file."""

    def __init__(self, file: Path, journal: Path, fingerprint: str) -> None:
        self._path, self._journal_path = file, journal
        self._fingerprint = fingerprint
        self._digest = hashlib.sha256()
        self._length = 0
        self._unsynced: list[Finished] = []
        self._synced_length = 0

    def __enter__(self) -> "WeightsWriter":
        finished = self._recover()
        self.resumed_bytes = finished[-1].end if finished else 0
        self._done = {entry.name for entry in finished}
        self._file = self._path.open("r+b" if finished else "wb", buffering=0)
        self._file.truncate(self.resumed_bytes)
        self._file.seek(self.resumed_bytes)
        self._length = self._synced_length = self.resumed_bytes
        # replaced in one step: a kill here must not cost the work the old journal vouches for
        lines = [json.dumps({"plan": self._fingerprint}), *map(_line, finished)]
        write_bytes_durably(self._journal_path, ("\n".join(lines) + "\n").encode())
        self._journal = self._journal_path.open("a")
        self._pool = ThreadPoolExecutor(os.cpu_count() or 1)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)
        try:
            if kind is None:
                self._sync()
        finally:
            self._file.close()
            self._journal.close()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    @property
    def length(self) -> int:
        return self._length

    def write(
        self, weights: list[PlacedWeight], checkpoint: Tensors, solved: Solved | None = None
    ) -> Iterator[PlacedWeight]:
        """Writes what is not there yet; yields every weight once it is, also those of an earlier run."""
        for weight in weights:
            name = weight.source.name
            if name not in self._done:
                self._append(weight, checkpoint, solved.load(name) if solved and name in solved else None)
            yield weight

    def _append(self, weight: PlacedWeight, checkpoint: Tensors, solved: PackedRows | None) -> None:
        borders = iter(weight.sections)
        self._pad_to(next(borders).offset)
        section_end = weight.values.end
        for chunk in encode(weight, checkpoint, self._pool, solved):
            if self._length == section_end:
                section = next(borders)
                self._pad_to(section.offset)
                section_end = section.end
            self._put(chunk)
        assert self._length == weight.sections[-1].end, f"{weight.source.name}: encoded size differs from the plan"
        self._unsynced.append(Finished(weight.source.name, self._length, self._digest.hexdigest()))
        if self._length - self._synced_length >= SYNC_BYTES:
            self._sync()

    def _pad_to(self, offset: int) -> None:
        if offset > self._length:
            self._put(bytes(offset - self._length))

    def _put(self, chunk: bytes | memoryview) -> None:
        self._digest.update(chunk)
        view = memoryview(chunk)
        while view:
            view = view[self._file.write(view) :]
        self._length += len(chunk)

    def _sync(self) -> None:
        os.fdatasync(self._file.fileno())
        self._log(self._unsynced)
        self._unsynced.clear()
        self._synced_length = self._length

    def _log(self, entries: list[Finished]) -> None:
        for entry in entries:
            self._journal.write(_line(entry) + "\n")
        self._journal.flush()
        os.fsync(self._journal.fileno())

    def _recover(self) -> list[Finished]:
        """The finished weights of an earlier run of the same plan whose bytes are still what the journal says."""
        good: list[Finished] = []
        if not self._path.exists():
            return good
        with self._path.open("rb", buffering=0) as file:
            for entry in self._read_journal():
                digest = self._digest.copy()
                if not _feed(digest, file, entry.end - self._length) or digest.hexdigest() != entry.sha256:
                    break
                self._digest, self._length = digest, entry.end
                good.append(entry)
        return good

    def _read_journal(self) -> list[Finished]:
        try:
            lines = self._journal_path.read_text().splitlines()
            if json.loads(lines[0]) != {"plan": self._fingerprint}:
                return []
        except (OSError, ValueError, IndexError):
            return []
        finished = []
        for line in lines[1:]:
            try:
                name, end, sha256 = json.loads(line)
                finished.append(Finished(str(name), int(end), str(sha256)))
            except (ValueError, TypeError):
                break
        return finished


def _line(entry: Finished) -> str:
    return json.dumps([entry.name, entry.end, entry.sha256])


def _feed(digest: "hashlib._Hash", file: IO[bytes], count: int) -> bool:
    """Hashes the next `count` bytes; False if the file ends before."""
    while count > 0:
        chunk = file.read(min(READ_BYTES, count))
        if not chunk:
            return False
        digest.update(chunk)
        count -= len(chunk)
    return True
