"""Pictures and files of them for the tests; Pillow is the reference decoder and writer."""

import io
import struct
import zlib

import cv2
import numpy as np
from PIL import Image


def smooth(height: int, width: int, seed: int = 0) -> np.ndarray:
    """uint8 [height, width, 3] with soft spots of every colour, so that neighbouring pixels resemble each other."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)


def encoded(image: Image.Image | np.ndarray, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, kind, **options)
    return buffer.getvalue()


def png(width: int, height: int, depth: int, colour: int, packed: bytes, *extra: bytes) -> bytes:
    """A PNG written by hand, with right checksums whatever it claims."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [png_chunk(b"IHDR", header), *extra, png_chunk(b"IDAT", packed), png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def tiff(width: int, height: int, tags: dict[int, int], data: bytes) -> bytes:
    """A grey deflated TIFF of one strip with `tags` added or changed."""
    count = 9 + len(tags.keys() - {256, 257, 258, 259, 262, 273, 277, 278, 279})
    base = {256: width, 257: height, 258: 8, 259: 8, 262: 1, 273: 14 + 12 * count, 277: 1, 278: height, 279: len(data)}
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted((base | tags).items())]
    return b"II*\0" + struct.pack("<IH", 8, count) + b"".join(entries) + bytes(4) + data
