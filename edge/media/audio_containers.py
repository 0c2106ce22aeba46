"""Is a WAV or FLAC file all there? libsndfile decodes what it finds of a cut file and does not say so."""

import struct

from edge.errors import InputError
from edge.media.byte_window import ByteWindow
from edge.media.waveform import check_format

REPAIR = "copy or record it again, or keep what is there with: ffmpeg -i FILE repaired.wav"
_MAX_CHUNKS = 1024  # libsndfile keeps a record of every chunk
_UNKNOWN = 0xFFFFFFFF
# What programs that write into a pipe put where they do not know the length yet: 2 or 4 GiB less a little.
_PLACEHOLDERS = (range(0x7FFF_0000, 0x8000_0001), range(0xFFFF_0000, _UNKNOWN + 1))


def cut_off(name: str, promised: str, there: str) -> InputError:
    return InputError(f"{name} is cut off or damaged: it promises {promised}, and {there} can be read.", REPAIR)


def check_wav(window: ByteWindow, name: str) -> None:
    """The `data` chunk is as long as it says, and rate and channels are possible. Raises InputError.

    RIFF and RF64: chunks of (4-byte id, 32-bit size), padded to even sizes; RF64 has 64-bit sizes in `ds64`.
    A length that only a writer into a pipe uses means "to the end of the file".
    """
    at, byte_rate, long_size = 12, 0, _UNKNOWN
    for _ in range(_MAX_CHUNKS):
        header = window.bytes_at(at, 8)
        if len(header) < 8:
            raise InputError(f"{name} has no 'data' chunk, so there is no audio in it.", REPAIR)
        kind, size = header[:4], int.from_bytes(header[4:], "little")
        body = window.bytes_at(at + 8, 16)
        if kind == b"fmt " and len(body) == 16:
            _, channels, rate, byte_rate = struct.unpack_from("<HHII", body)
            check_format(rate, channels, name)
        elif kind == b"ds64" and len(body) == 16:
            long_size = int.from_bytes(body[8:], "little")
        elif kind == b"data":
            promised = long_size if size == _UNKNOWN else size
            there = window.size - at - 8
            if promised > there and not any(promised in one for one in _PLACEHOLDERS):
                per_second = byte_rate or 1
                raise cut_off(name, _span(promised, per_second), _span(there, per_second))
            return
        at += 8 + size + size % 2
    raise InputError(f"{name} has more than {_MAX_CHUNKS:,} chunks before its audio.", REPAIR)


def check_flac(window: ByteWindow, name: str) -> None:
    """The header says how many samples there are; without that libsndfile loses the last block.

    RFC 9639, 8.2: the number is the last 36 bits of bytes 18 to 25. Raises InputError.
    """
    total = int.from_bytes(window.bytes_at(18, 8), "big") & ((1 << 36) - 1)
    if not total:
        raise InputError(
            f"{name} does not say how long it is, as if it was written into a pipe.",
            "write it into a file again: ffmpeg -i FILE whole.flac",
        )


def _span(count: int, per_second: int) -> str:
    return f"{count:,} bytes ({count / per_second:,.3f} s)"
