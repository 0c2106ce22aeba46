"""One image, from a file or an array, as RGB pixels. Whatever a decoder would have to guess is refused."""

from pathlib import Path

import cv2
import numpy as np

from edge.errors import InputError, ResourceError
from edge.media.image_header import ImageHeader, image_format, image_header
from edge.media.native_stderr import decoder_messages
from edge.media.regular_file import read_regular_file
from edge.media.tiff_tags import exif_orientation

MAX_FILE_BYTES = 64_000_000
MAX_PIXELS = 50_000_000
FORMATS = "JPEG, PNG, WebP, BMP, GIF or TIFF"

# EXIF orientations 5 to 8 are stored transposed; then comes cv2's flip: 1 left-right, 0 top-bottom, -1 both
_FLIPS = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}
_DAMAGED_JPEG = ("premature end", "bad Huffman", "bad arith", "instead of RST", "Premature end")
_NO_MEMORY = "Insufficient memory"
_ROWS_AT_A_TIME = 256  # conversions to 8 bits need several times the memory of what they convert
_OTHER_COPY = "Give another copy of the picture."


def read_image(source: Path | bytes) -> np.ndarray:
    """uint8 [height, width, 3] in RGB order, upright, without transparency.

    Decodes by content, never by file name: JPEG, PNG, WebP, BMP, GIF, TIFF; of an animation or a TIFF with several
    pages the first picture. EXIF orientation is applied, transparent parts become white, 16-bit samples
    become 8-bit, grey becomes RGB. BMP has no defined transparency: there it is ignored.
    Raises InputError when the file cannot be read, is larger than 64 MB or 50 megapixels, or is damaged; size
    and completeness are checked before a decoder runs. Raises ResourceError when memory runs out.
    """
    if isinstance(source, Path):
        name = str(source)
        data = read_regular_file(source, MAX_FILE_BYTES, "an image file")
    else:
        name, data = "The image", source
        if not data:
            raise InputError("The image is empty (0 bytes).", _OTHER_COPY)
        if len(data) > MAX_FILE_BYTES:
            raise InputError(f"The image has more than {MAX_FILE_BYTES // 1_000_000} MB.", "Make a smaller copy.")
    header = _checked_header(data, name)
    try:
        image, orientation = _decode(data, header, name)
        return _upright_rgb(image, orientation, premultiplied=header.format == "TIFF")
    except (MemoryError, cv2.error):
        need = f"{name} needs more memory than there is for its {header.width} x {header.height} pixels."
        raise ResourceError(need, "Close other programs, or make a smaller copy.") from None


def as_rgb(array: np.ndarray) -> np.ndarray:
    """uint8 [height, width, 3] from a picture [height, width] or [height, width, 1 | 3 | 4].

    Channels are grey, RGB or RGBA in this order (a cv2 camera frame is BGR: pass `frame[..., ::-1]`). Samples
    are uint8 0..255, uint16 0..65535 or float 0..1. Transparent parts become white. The array is not written
    to, and is returned itself when nothing has to change. Raises InputError for anything else.
    """
    if array.ndim not in (2, 3) or array.shape[2:] not in ((), (1,), (3,), (4,)) or 0 in array.shape:
        raise InputError(
            f"An array of shape {list(array.shape)} is no picture.",
            "Give [height, width] or [height, width, channels] with 1, 3 or 4 channels.",
        )
    if array.dtype != np.uint8 and array.dtype != np.uint16 and not np.issubdtype(array.dtype, np.floating):
        raise InputError(f"Pixels of type {array.dtype} are not understood.", "Give uint8, uint16 or float 0..1.")
    if array.dtype == np.uint8 and array.shape[2:] == (3,):
        return np.ascontiguousarray(array)
    rgb = np.empty((*array.shape[:2], 3), np.uint8)
    for top in range(0, len(array), _ROWS_AT_A_TIME):
        rows = slice(top, top + _ROWS_AT_A_TIME)
        rgb[rows] = _over_white(_eight_bits(array[rows]))
    return rgb


def _checked_header(data: bytes, name: str) -> ImageHeader:
    """Format and size of an image that a decoder may see. Raises InputError."""
    try:
        header = image_header(data)
    except ValueError as reason:
        raise InputError(f"{name} is a damaged {image_format(data)} file: {reason}.", _OTHER_COPY) from None
    if header is None:
        hint = f"Give {FORMATS}; save HEIC or AVIF photos as JPEG first."
        raise InputError(f"{name} is not a picture in a known format.", hint)
    if header.width < 1 or header.height < 1:
        raise InputError(f"{name} has {header.width} x {header.height} pixels: there is nothing to see.", _OTHER_COPY)
    if header.width * header.height > MAX_PIXELS:
        raise InputError(
            f"{name} has {header.width} x {header.height} pixels, more than {MAX_PIXELS // 1_000_000} megapixels.",
            "Make a smaller copy and give that one.",
        )
    return header


def _decode(data: bytes, header: ImageHeader, name: str) -> tuple[np.ndarray, int]:
    """The stored picture in OpenCV's channel order, and the EXIF orientation still to be applied."""
    image: np.ndarray | None
    with decoder_messages() as messages:
        try:
            buffer = np.frombuffer(data, np.uint8)
            image, kinds, metadata = cv2.imdecodeWithMetadata(buffer, flags=cv2.IMREAD_UNCHANGED)
        except cv2.error as error:
            image = None
            messages.append(str(error))
    if image is None and any(_NO_MEMORY in line for line in messages):
        raise MemoryError
    damaged = header.format == "JPEG" and any(words in line for line in messages for words in _DAMAGED_JPEG)
    # TIFF comes upright, so its sides may have changed places
    if image is None or damaged or {*image.shape[:2]} != {header.width, header.height}:
        raise InputError(f"{name} is damaged: its {header.format} data cannot be decoded.", _OTHER_COPY)
    if image.dtype not in (np.uint8, np.uint16):
        hint = "Save it with 8 or 16 bits per channel."
        raise InputError(f"{name} has {image.dtype} samples, which no screen shows.", hint)
    exif = next((one for kind, one in zip(kinds, metadata, strict=True) if kind == cv2.IMAGE_METADATA_EXIF), None)
    return image, 1 if exif is None else exif_orientation(exif.tobytes())


def _upright_rgb(image: np.ndarray, orientation: int, premultiplied: bool) -> np.ndarray:
    """The picture as `read_image` returns it; `image` may be overwritten."""
    if premultiplied and image.dtype == np.uint8 and image.shape[2:] == (4,):
        # libtiff has multiplied 8-bit colours by alpha already, so white only needs to be added
        white = cv2.cvtColor(255 - image[:, :, 3], cv2.COLOR_GRAY2BGR)
        image = cv2.add(cv2.cvtColor(image, cv2.COLOR_BGRA2BGR), white)
    if image.ndim == 3:
        cv2.cvtColor(image, cv2.COLOR_BGR2RGB if image.shape[2] == 3 else cv2.COLOR_BGRA2RGBA, dst=image)
    rgb = as_rgb(image)
    if orientation >= 5:
        rgb = cv2.transpose(rgb)
    return cv2.flip(rgb, _FLIPS[orientation]) if orientation in _FLIPS else rgb


def _eight_bits(pixels: np.ndarray) -> np.ndarray:
    """The same samples as uint8, rounded to the nearest level."""
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.uint16:
        return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if not (pixels.min() >= 0 and pixels.max() <= 1):  # also false for NaN
        raise InputError("A float picture has samples outside 0..1 or NaN.", "Divide 0..255 by 255 first.")
    return (pixels.astype(np.float32) * 255 + 0.5).astype(np.uint8)


def _over_white(pixels: np.ndarray) -> np.ndarray:
    """[rows, width, 3] or what broadcasts to it: grey repeated, RGBA composited over white."""
    if pixels.ndim == 2:
        return pixels[:, :, None]
    if pixels.shape[2] < 4:
        return pixels
    alpha = pixels[:, :, 3:].astype(np.uint16)
    return ((pixels[:, :, :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
