"""The pages of an Ogg file: libsndfile leaves out damaged ones and reads no second stream, and does not say so."""

import zlib

from edge.errors import InputError
from edge.media.audio_containers import REPAIR
from edge.media.byte_window import ByteWindow

_MAX_PAGES = 1 << 20
_MAX_SILENT_BYTES = 16 << 20  # the decoder keeps a packet, for instance a picture among the tags, in memory
_NO_SOUND = (bytes(8), b"\xff" * 8)
_LAST = 4
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def ogg_ends(window: ByteWindow, name: str) -> bool:
    """Whether the pages of the one stream in `window` go on to a page that is marked as the last.

    RFC 3533, 6. Raises InputError when a page before that is damaged or missing, there is a second stream, or
    more than 16 MiB in a row hold no sound.
    """
    at, sound, stream, ended = 0, 0, b"", False
    for number in range(_MAX_PAGES):
        head = window.bytes_at(at, 27)
        size = 27 + sum(window.bytes_at(at + 27, head[26])) + head[26] if len(head) == 27 else 0
        page = window.bytes_at(at, size)
        if not page or len(page) < size:
            break
        stream = stream or page[14:18]
        if page[:4] == b"OggS" and (ended or page[14:18] != stream):
            raise InputError(f"{name} holds more than one stream.", "take one out: ffmpeg -i FILE -map 0:a:0 one.ogg")
        if ended:
            break
        if page[:4] != b"OggS" or page[18:22] != number.to_bytes(4, "little") or page[22:26] != page_checksum(page):
            raise InputError(f"{name} is damaged at byte {at:,} of {window.size:,}.", REPAIR)
        ended = bool(page[5] & _LAST)
        at += size
        if page[6:14] not in _NO_SOUND:
            sound = at
        if at - sound > _MAX_SILENT_BYTES:
            raise InputError(f"{name} has {_MAX_SILENT_BYTES >> 20} MiB without any sound in it.", REPAIR)
    return ended


def page_checksum(page: bytes) -> bytes:
    """CRC-32 with Ogg's conventions: most significant bit first, no inversion, its own field as zeros.

    zlib's runs the other way round and inverts at both ends; mirrored bytes and 0xFFFFFFFF undo that.
    """
    zeroed = page[:22] + bytes(4) + page[26:]
    mirrored = zlib.crc32(zeroed.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2).to_bytes(4, "little")
