"""Format and size of an image file, read from its header before a decoder allocates anything."""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

from edge.media.tiff_tags import HEIGHT, TILE_HEIGHT, TILE_WIDTH, WIDTH, first_directory

MAX_JPEG_SCANS = 64  # progressive files have about ten; each scan costs a pass over all pixels
MAX_TILE_SIDE = 1024  # a TIFF tile is decoded whole, however small the image is

_JPEG_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
_JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_JPEG_START, _JPEG_END, _JPEG_SCAN, _JPEG_TEMPORARY = 0xD8, 0xD9, 0xDA, 0x01


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """`width` and `height` in pixels as stored, before any EXIF orientation."""

    format: str
    width: int
    height: int


def image_format(data: bytes) -> str | None:
    """JPEG, PNG, WebP, BMP, GIF or TIFF by the first bytes, None for anything else."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    return next((name for magic, name in _MAGIC if data.startswith(magic)), None)


def image_header(data: bytes) -> ImageHeader | None:
    """None when `data` is in none of the formats. Raises ValueError, with a reason, for a damaged header."""
    name = image_format(data)
    if name is None:
        return None
    try:
        width, height = _SIZES[name](data)
    except (struct.error, IndexError):
        raise ValueError("it ends too early") from None
    return ImageHeader(name, width, height)


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Walks all segments: a JPEG without its end marker would be completed with grey."""
    size: tuple[int, int] | None = None
    position = scans = 0
    while match := _JPEG_MARKER.search(data, position):
        marker, position = match[1][0], match.end()
        if marker == _JPEG_END:
            if size is None or not scans:
                raise ValueError("it holds no picture")
            return size
        if marker in (_JPEG_START, _JPEG_TEMPORARY):
            continue
        (length,) = struct.unpack_from(">H", data, position)
        if marker in _JPEG_FRAMES and size is None:
            height, width = struct.unpack_from(">HH", data, position + 3)
            size = width, height
        scans += marker == _JPEG_SCAN
        if scans > MAX_JPEG_SCANS:
            raise ValueError(f"it has more than {MAX_JPEG_SCANS} scans")
        position += length
    raise ValueError("it ends too early")


def _png_size(data: bytes) -> tuple[int, int]:
    length, kind, width, height = struct.unpack_from(">I4sII", data, 8)
    if (length, kind) != (13, b"IHDR"):
        raise ValueError("its first chunk is no image header")
    return width, height


def _webp_size(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF  # the upper two bits are a scaling hint
    if kind == b"VP8L":
        (packed,) = struct.unpack_from("<I", data, 21)
        return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        struct.unpack_from("<6x", data, 24)
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    raise ValueError("its first chunk is no picture")


def _gif_size(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height


def _bmp_size(data: bytes) -> tuple[int, int]:
    (length,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if length == 12 else "<ii", data, 18)
    return width, abs(height)  # negative: rows are stored from the top


def _tiff_size(data: bytes) -> tuple[int, int]:
    tags = first_directory(data)
    if WIDTH not in tags or HEIGHT not in tags:
        raise ValueError("it does not say how large it is")
    if max(tags.get(TILE_WIDTH, 0), tags.get(TILE_HEIGHT, 0)) > MAX_TILE_SIDE:
        raise ValueError(f"it has tiles of more than {MAX_TILE_SIDE} pixels")
    return tags[WIDTH], tags[HEIGHT]


_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"BM", "BMP"),
)
_SIZES: dict[str, Callable[[bytes], tuple[int, int]]] = {
    "JPEG": _jpeg_size,
    "PNG": _png_size,
    "WebP": _webp_size,
    "GIF": _gif_size,
    "TIFF": _tiff_size,
    "BMP": _bmp_size,
}
