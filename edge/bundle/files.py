"""The one place where bundle files are opened, hashed and made durable. POSIX only: no links are followed."""

import ctypes
import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.bundle.embedded import EMBEDDED
from edge.bundle.names import shown
from edge.errors import BundleError, EdgeError, ResourceError, UsageError

Progress = Callable[[str, int, int], None]
"""Called with (what is being worked on, bytes done so far, bytes in all)."""

CHUNK = 1 << 20
SPARE_BYTES = 16 << 20  # left free for the file system's own tables and for logs
_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISCHR, "a device"),
)
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100


def irregular(info: os.stat_result, root: Path) -> str | None:
    """What `info`, found below `root`, is instead of a regular file with one name ('a symbolic link'), or None.

    Some installers of packages make hard links to a cache of theirs, so those are fine in the embedded bundle.
    """
    for is_kind, words in _KINDS:
        if is_kind(info.st_mode):
            return words
    linked = info.st_nlink != 1 and root != EMBEDDED
    return f"a file with {info.st_nlink} hard links" if linked else None


def open_regular(root: Path, name: str, error: type[EdgeError] = BundleError) -> int:
    """A descriptor of the regular file `name` ('a/b/c') below directory `root`; the caller closes it.

    No link below `root` is followed, a named pipe does not block, and a file with a second hard link is
    refused, because it could change from outside. Raises `error`.
    """
    hint = "Copy the files themselves, not links to them."
    folder = -1
    try:
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        *parents, last = name.split("/")
        if not all(part not in ("", ".", "..") for part in (*parents, last)):
            raise error(f"{shown(name)} is not a plain name below {root}.", hint)
        for part in parents:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        found = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except FileNotFoundError:
        raise error(f"{shown(name)} is missing from {root}.", "Copy the whole directory again.") from None
    except OSError as failure:
        link = failure.errno in (errno.ELOOP, errno.ENOTDIR)
        reason = "it is or lies behind a link" if link else failure.strerror
        raise error(f"{shown(name)} in {root} cannot be opened: {reason}.", hint) from None
    finally:
        if folder >= 0:
            os.close(folder)
    if words := irregular(os.fstat(found), root):
        os.close(found)
        raise error(f"{shown(name)} in {root} is {words}, not a regular file.", hint)
    return found


def read_chunks(fd: int) -> Iterator[memoryview]:
    """The rest of `fd` in pieces of at most 1 MiB; each piece is valid until the next."""
    buffer = memoryview(bytearray(CHUNK))
    while count := os.readv(fd, [buffer]):
        yield buffer[:count]


def read_regular(root: Path, name: str, max_bytes: int) -> bytes:
    """The contents of a regular file of at most `max_bytes`. Raises BundleError."""
    fd = open_regular(root, name)
    with os.fdopen(fd, "rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise BundleError(
            f"{shown(name)} in {root} has more than the {max_bytes} bytes that are allowed.",
            "Copy the bundle again from where it came.",
        )
    return data


def hash_file(fd: int, progress: Callable[[int], None] | None = None) -> str:
    """SHA-256 of the rest of `fd` in hexadecimal; `progress` gets the size of each piece in bytes."""
    digest = hashlib.sha256()
    for piece in read_chunks(fd):
        digest.update(piece)
        if progress:
            progress(len(piece))
    return digest.hexdigest()


def write_all(fd: int, data: bytes | memoryview) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def fsync_dir(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_bytes_durably(path: Path, data: bytes) -> None:
    """`path` holds all of `data` or what it held before, also after a power cut. Raises ResourceError, UsageError."""
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    with disk_errors(path):
        try:
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
            try:
                write_all(fd, data)
                os.fsync(fd)
            finally:
                os.close(fd)
            temporary.rename(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        fsync_dir(path.parent)


def fsync_tree(root: Path) -> None:
    """Every file and directory of `root` is on the disk when this returns."""
    for folder, _, names in os.walk(root, topdown=False):
        for name in names:
            fd = os.open(Path(folder, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
        fsync_dir(Path(folder))


def refuse_existing(final: Path) -> None:
    if os.path.lexists(final):
        raise UsageError(f"{final} already exists.", f"Choose another name, or remove it first: rm -r {final}")


def durable_rename_dir(tmp: Path, final: Path, replace: bool = False) -> None:
    """Directory `tmp` becomes `final` in one step, after all of it is on the disk.

    Both lie on one file system. With `replace` an existing `final` changes places with `tmp`, whose name then
    holds the old contents. Raises UsageError when `final` exists otherwise, and ResourceError.
    """
    with disk_errors(final):
        fsync_tree(tmp)
        if replace and os.path.lexists(final):
            _exchange(tmp, final)
        else:
            refuse_existing(final)
            try:
                tmp.rename(final)
            except OSError as error:
                if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                    refuse_existing(final)
                raise
        fsync_dir(final.parent)


def _exchange(one: Path, other: Path) -> None:
    """Swap two directory names; atomic on Linux, otherwise there is a moment without `other`."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is not None:
        code = renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
        if code == 0:
            return
        if ctypes.get_errno() not in (errno.EINVAL, errno.ENOSYS):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(other))
    # a name that no cleaner takes, so that a kill in this moment loses nothing
    aside = other.with_name(f".{other.name}.old-{os.getpid()}")
    other.rename(aside)
    try:
        one.rename(other)
    except OSError:
        aside.rename(other)
        raise
    aside.rename(one)


def require_space(directory: Path, needed: int, purpose: str) -> None:
    """Raises ResourceError when `directory` has less than `needed` bytes (and 16 MiB to spare) free."""
    free = free_bytes(directory)
    if free < needed + SPARE_BYTES:
        raise ResourceError(
            f"{purpose} needs {size_text(needed + SPARE_BYTES)}, but {directory} has {size_text(free)} free.",
            "Free some space, or set EDGE_HOME to a directory on a larger disk.",
        )


def free_bytes(path: Path) -> int:
    """Free bytes of the file system that holds `path`, which need not exist yet."""
    existing = next(one for one in (path, *path.absolute().parents) if one.exists())
    return shutil.disk_usage(existing).free


def size_text(count: int) -> str:
    """1234567 -> '1.2 MB'."""
    size, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{count} bytes" if unit == "bytes" else f"{size:.1f} {unit}"


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """An OSError while writing `path` becomes a ResourceError or UsageError with a remedy."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            cause = "the file size limit" if error.errno == errno.EFBIG else "the end of the free space"
            raise ResourceError(
                f"Writing {path} came to {cause}; {size_text(free_bytes(path))} are free there.",
                "Free some space and run the same command again.",
            ) from None
        if error.errno in (errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            raise ResourceError(
                f"Writing {path} failed: {error.strerror}.", "Check the disk with dmesg, then try again."
            ) from None
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            raise UsageError(
                f"{path} cannot be written: {error.strerror}.", "Choose a directory that you may write to."
            ) from None
        raise
