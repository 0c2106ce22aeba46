"""A directory that appears under its final name complete, or not at all."""

import fcntl
import os
import secrets
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

from edge.bundle.files import disk_errors, durable_rename_dir, fsync_dir, refuse_existing
from edge.errors import UsageError


class StagedDirectory:
    """Write into `path`, then `commit()`; leaving the `with` block without it removes everything.

    `path` is a hidden sibling of `final`, on the same file system. Its writer holds an flock on it, which the
    kernel drops when the process dies however it dies, so the next writer tells leftovers from work in progress.

    With `resume` (a plain key) the directory has a fixed name and survives errors and kills: the next writer with
    the same key finds what is there, and `discard()` gives it up. Raises UsageError when `final` exists or when
    another process is writing with the same key.
    """

    def __init__(self, final: Path, replace: bool = False, resume: str = "") -> None:
        self.final = final.absolute()
        self.path = self.final
        self._replace = replace
        self._resume = resume
        self._lock = -1
        self._keep = False

    def __enter__(self) -> Self:
        if not self._replace:
            refuse_existing(self.final)
        with disk_errors(self.final):
            self.final.parent.mkdir(parents=True, exist_ok=True)
            kind = "resume" if self._resume else "partial"
            own = f".{self.final.name}.resume-{self._resume}" if self._resume else ""
            remove_stale(self.final.parent, f".{self.final.name}.{kind}-", keep=own)
            while self._lock < 0:
                unique = f".{self.final.name}.partial-{os.getpid()}-{secrets.token_hex(4)}"
                self.path = self.final.with_name(own or unique)
                self.path.mkdir(exist_ok=bool(own))
                self._lock = _lock(self.path)
                if self._lock < 0 and own and self.path.exists():
                    raise UsageError(
                        f"Another process is already writing {self.final}.", "Wait for it, or stop it first."
                    )
        self._keep = bool(self._resume)
        return self

    def commit(self) -> None:
        """All of `path` is on the disk and has the final name when this returns."""
        durable_rename_dir(self.path, self.final, self._replace)
        self._keep = False

    def discard(self) -> None:
        """What was written is removed at the end of the `with` block, also with `resume`."""
        self._keep = False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            # after a commit this name is free, or holds the contents that were replaced
            if not self._keep:
                shutil.rmtree(self.path, ignore_errors=True)
        finally:
            os.close(self._lock)


def remove_stale(parent: Path, prefix: str, keep: str = "") -> None:
    """Hidden directories `prefix`* that no living process has locked are removed."""
    for leftover in parent.glob(f"{prefix}*"):
        if leftover.name == keep or leftover.is_symlink() or not leftover.is_dir():
            continue
        lock = _lock(leftover)
        if lock >= 0:
            shutil.rmtree(leftover, ignore_errors=True)
            os.close(lock)


def remove_directory(path: Path) -> None:
    """`path` vanishes in one step; if the process dies after that, the next writer there clears the rest."""
    aside = path.with_name(f".{path.name}.partial-{os.getpid()}-{secrets.token_hex(4)}")
    with disk_errors(path):
        path.rename(aside)
        fsync_dir(path.parent)
        if aside.is_symlink():
            aside.unlink()
        else:
            shutil.rmtree(aside, ignore_errors=True)


def _lock(path: Path) -> int:
    """A descriptor that holds the lock of directory `path`, or -1 when another has it or `path` is gone."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return -1
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # a cleaner may have removed it between mkdir and flock
        if path.exists() and path.stat().st_ino == os.fstat(fd).st_ino:
            return fd
    except BlockingIOError:
        pass
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return -1
