"""The packed layout of integer blocks, and its inverse."""

from dataclasses import dataclass

import numpy as np

from quant.formats import BlockFormat


@dataclass(frozen=True, slots=True)
class PackedRows:
    """values uint8 [n, blocks, block * bits / 8], scales float32 [n, blocks], zero_points uint8 [n, ...] or None."""

    values: np.ndarray
    scales: np.ndarray
    zero_points: np.ndarray | None


def pack_nibbles(values: np.ndarray) -> np.ndarray:
    """uint8 [..., even] with values 0..15 -> uint8 [..., half], first of each pair in the low nibble."""
    packed = values[..., 1::2] << 4
    packed |= values[..., 0::2]
    return packed


def unpack_nibbles(packed: np.ndarray) -> np.ndarray:
    """The inverse of `pack_nibbles`."""
    out = np.empty((*packed.shape[:-1], packed.shape[-1] * 2), np.uint8)
    out[..., 0::2] = packed & 15
    out[..., 1::2] = packed >> 4
    return out


def pack_levels(levels: np.ndarray, scales: np.ndarray, zeros: np.ndarray, fmt: BlockFormat) -> PackedRows:
    """levels uint8 [n, blocks, block] and whole zero points [n, blocks], both within the format's bits."""
    values = pack_nibbles(levels) if fmt.bits == 4 else levels
    if fmt.symmetric:
        return PackedRows(values, scales, None)
    points = zeros.astype(np.uint8)
    if fmt.bits == 4:
        points = pack_nibbles(np.pad(points, ((0, 0), (0, points.shape[1] % 2))))
    return PackedRows(values, scales, points)


def dequantise(packed: PackedRows, fmt: BlockFormat, columns: int) -> np.ndarray:
    """float32 [n, columns]: (value - zero point) * scale, as the runtime's kernels compute it."""
    values = packed.values if fmt.bits == 8 else unpack_nibbles(packed.values)
    zero: np.ndarray | int = 1 << (fmt.bits - 1)
    if packed.zero_points is not None:
        points = packed.zero_points if fmt.bits == 8 else unpack_nibbles(packed.zero_points)
        zero = points[:, : packed.scales.shape[1], None].astype(np.float32)
    out = (values.astype(np.float32) - zero) * packed.scales[..., None]
    return out.reshape(len(out), -1)[:, :columns]
