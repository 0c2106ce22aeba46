"""The frames of an MP3 file, counted one by one.

libsndfile guesses the length of a file without an index from its first frame, reads no further than that guess, and
stumbles over what lies between frames. So it gets a chain of whole frames only, with an index in front.
"""

from edge.errors import InputError
from edge.media.audio_containers import REPAIR, cut_off
from edge.media.byte_window import ByteWindow

DECODER_DELAY = 2 * 1152  # samples that encoders and decoders count differently at the two ends
_CHUNK = 1 << 20
_MAX_TAGS = 16
# Layer III, ISO/IEC 11172-3 2.4.2.3 and 13818-3: kbit/s by index for MPEG-1, and for MPEG-2 and 2.5
_KBITS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBITS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_TRAILERS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN")


def id3_size(window: ByteWindow) -> int:
    """Bytes of the ID3v2 tags that `window` starts with; 0 without one."""
    at = 0
    for _ in range(_MAX_TAGS):
        tag = window.bytes_at(at, 10)
        if len(tag) < 10 or tag[:3] != b"ID3":
            break
        footer = 10 if tag[5] & 0x10 else 0
        at += 10 + footer + sum((byte & 127) << shift for byte, shift in zip(tag[6:], (21, 14, 7, 0), strict=True))
    return at


def mp3_frames(window: ByteWindow, name: str) -> ByteWindow:
    """The chain of frames that `window` starts with, with an index in front when it has none.

    Raises InputError when the chain breaks off, is not what its index says, or something else lies in between.
    """
    data, base, at = b"", 0, 0
    frames, samples, rate = 0, 0, 0
    while at < window.size:
        if at + 4 - base > len(data):
            data, base = window.bytes_at(at, _CHUNK), at
        header = data[at - base : at - base + 4]
        parsed = _frame(header)
        if parsed is None or (rate and parsed[2] != rate):
            break
        size, count, rate = parsed
        if at + size > window.size:
            raise InputError(f"{name} is cut off: it ends inside a frame after {samples / rate:,.3f} s.", REPAIR)
        frames, samples, at = frames + 1, samples + count, at + size
    if not frames:
        raise InputError(f"{name} is not an MP3 file that can be decoded.", REPAIR)
    if (rest := window.bytes_at(at, 16)).strip(b"\0") and not rest.startswith(_TRAILERS):
        raise InputError(f"{name} is damaged after {samples / rate:,.3f} s of audio.", REPAIR)
    first = window.bytes_at(0, 64)
    promised = _indexed_frames(first)
    if promised is None:
        return window.narrowed(0, at, prefix=_index(first, frames))
    if promised not in (frames - 1, frames):  # the frame with the index counts itself in some files
        seconds = samples / frames / rate
        raise cut_off(name, f"{promised * seconds:,.3f} s of audio", f"{frames * seconds:,.3f} s")
    return window.narrowed(0, at)


def _frame(header: bytes) -> tuple[int, int, int] | None:
    """(bytes, samples, Hz) of the layer III frame with this 4-byte header; None when it is not one."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return None
    version = header[1] >> 3 & 3
    bit_rate, rate_index, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version not in _RATES or rate_index == 3 or bit_rate in (0, 15):
        return None
    samples = 1152 if version == 3 else 576
    rate = _RATES[version][rate_index]
    kbits = (_KBITS_1 if version == 3 else _KBITS_2)[bit_rate]
    return samples // 8 * kbits * 1000 // rate + padding, samples, rate


def _index_at(header: bytes) -> int:
    """Where in a frame the index lies: after the header and the side information."""
    mono = header[3] >> 6 == 3
    return 4 + {(3, False): 32, (3, True): 17}.get((header[1] >> 3 & 3, mono), 9 if mono else 17)


def _indexed_frames(first: bytes) -> int | None:
    """The number of frames in the index that the first frame may be (tag, flags, number), or None."""
    index = first[_index_at(first) :][:12]
    if len(index) < 12 or index[:4] not in (b"Xing", b"Info") or not index[7] & 1:
        return None
    return int.from_bytes(index[8:], "big")


def _index(first: bytes, frames: int) -> bytes:
    """A silent frame like `first`, at its 9th bit rate, without checksum and padding, that holds the number only."""
    header = bytes([first[0], first[1] | 1, 9 << 4 | first[2] & 0x0C, first[3]])
    parsed = _frame(header)
    assert parsed is not None
    index = b"Xing" + (1).to_bytes(4, "big") + frames.to_bytes(4, "big")
    return (header + bytes(_index_at(header) - 4) + index).ljust(parsed[0], b"\0")
