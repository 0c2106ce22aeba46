"""Single numbers of a TIFF file's first directory; EXIF data has the same form."""

import struct

WIDTH, HEIGHT, ORIENTATION, TILE_WIDTH, TILE_HEIGHT = 256, 257, 274, 322, 323
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_SIZES = {3: "H", 4: "I"}


def first_directory(data: bytes) -> dict[int, int]:
    """Tag -> value, for the tags that hold one SHORT or LONG. Raises ValueError when damaged.

    A tag given twice is refused: a decoder could believe the other value.
    """
    order = _ORDERS.get(data[:4])
    if order is None:
        raise ValueError("it does not begin like TIFF")
    try:
        (start,) = struct.unpack_from(f"{order}I", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, start)
        tags: dict[int, int] = {}
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, values = struct.unpack_from(f"{order}HHI", data, entry)
            if tag in tags:
                raise ValueError(f"it holds tag {tag} twice")
            if kind in _SIZES and values == 1:
                (tags[tag],) = struct.unpack_from(order + _SIZES[kind], data, entry + 8)
    except struct.error:
        raise ValueError("its directory ends too early") from None
    return tags


def exif_orientation(exif: bytes) -> int:
    """EXIF orientation 1 to 8; 1 (as stored) when it is absent or the EXIF data is damaged."""
    try:
        value = first_directory(exif.removeprefix(b"Exif\0\0")).get(ORIENTATION, 1)
    except ValueError:
        return 1
    return value if 1 <= value <= 8 else 1
