"""A user's media file, opened or read whole: regular files only, never more than a limit, never blocking."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from edge.errors import InputError

_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISCHR, "a device"),
)
_HINT = "Give {} that you can open."


def open_regular_file(path: Path, wanted: str) -> BinaryIO:
    """`path` opened for reading; `wanted` names what belongs there ("an image file").

    Links are followed: the user chose the file. Never blocks. Raises InputError when it is missing, cannot be opened
    or is not a regular file.
    """
    hint = _HINT.format(wanted)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.", "Check the path, or list the folder with ls.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be opened: {error.strerror}.", hint) from None
    except ValueError:
        raise InputError(f"{str(path)!r} is no file name.", hint) from None
    mode = os.fstat(fd).st_mode
    if words := next((words for is_kind, words in _KINDS if is_kind(mode)), None):
        os.close(fd)
        raise InputError(f"{path} is {words}, not {wanted}.", hint)
    return os.fdopen(fd, "rb")


def read_regular_file(path: Path, max_bytes: int, wanted: str) -> bytes:
    """The contents of `path`, which `open_regular_file` opens.

    Raises InputError also when it is empty, or larger than `max_bytes` (checked before and while reading, because a
    file can grow).
    """
    hint = _HINT.format(wanted)
    with open_regular_file(path, wanted) as file:
        too_large = f"{path} has more than the {max_bytes // 1_000_000} MB that {wanted} may have."
        if (size := os.fstat(file.fileno()).st_size) > max_bytes:
            raise InputError(too_large, "Make a smaller copy and give that one.")
        try:
            data = file.read(size + 1)  # as much memory is taken as is asked for
            if len(data) > size:
                data += file.read(max_bytes + 1 - len(data))
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}.", hint) from None
    if len(data) > max_bytes:
        raise InputError(too_large, "Make a smaller copy and give that one.")
    if not data:
        raise InputError(f"{path} is empty (0 bytes).", hint)
    return data
