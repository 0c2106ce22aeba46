"""The two resizings of the image front end, as the model's own processing does them.

The picture is fitted to the crop grid with Pillow's bilinear filter: a triangle that widens when shrinking, first
along the width, then along the height, rounded to uint8 after each. (Later Pillow versions may turn the order
round to save work.) OpenCV's linear filter does not widen, and its area filter is no triangle. The overview of the
grid is PyTorch's bicubic: four taps, a = -0.75, no widening.
"""

import cv2
import numpy as np

_OUTPUT_ROWS = 16  # per product: few Python steps, yet few zeros in the weights
_PRODUCT = 1 << 17  # multiplications: BLAS would wake its threads for more, which costs more than it brings
_WEIGHT_STEPS = 1 << 22
_STRIPE_ROWS = 256  # turned and resized along the width together, so that the copy stays small
_HALF_STEP_TAPS = np.array([-0.09375, 0.59375, 0.59375, -0.09375], np.float32)


def resize_bilinear(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """uint8 [height, width, 3] from uint8 [H, W, 3], bit for bit Pillow's BILINEAR along the width, then the height."""
    if image.shape[1] != width:
        wide = image
        image = np.empty((len(wide), width, 3), np.uint8)
        for top in range(0, len(wide), _STRIPE_ROWS):
            stripe = cv2.transpose(wide[top : top + _STRIPE_ROWS])
            image[top : top + _STRIPE_ROWS] = cv2.transpose(_resize_rows(stripe, width))
    return image if len(image) == height else _resize_rows(image, height)


def shrink_bicubic(image: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """float32 [H / rows, W / columns, channels] from [H, W, channels], both divisible.

    Equals interpolate(mode="bicubic", align_corners=False). For a whole factor n the samples lie on every
    n-th pixel (n odd) or half way between two (n even), so that only one set of taps ever occurs.
    """
    factors = {0: rows, 1: columns}
    for axis in sorted(factors, key=lambda one: -image.shape[one]):  # the longer side first: less memory
        image = _sample(image, factors[axis], axis)
    return image.astype(np.float32, copy=False)


def _resize_rows(image: np.ndarray, rows: int) -> np.ndarray:
    """uint8 [rows, ...] from uint8 [H, ...]: the triangle filter along the first axis."""
    source = image.reshape(len(image), -1)
    result = np.empty((rows, source.shape[1]), np.uint8)
    for start in range(0, rows, _OUTPUT_ROWS):
        stop = min(start + _OUTPUT_ROWS, rows)
        first, weights = _triangle_weights(len(image), rows, start, stop)
        slab = source[first : first + weights.shape[1]]
        step = max(_PRODUCT // weights.size, 64)
        for left in range(0, source.shape[1], step):
            product = weights @ slab[:, left : left + step].astype(np.float64)
            product += 0.5  # the cast truncates; weights are positive and sum to 1, so 0..255 stays 0..255
            result[start:stop, left : left + step] = product
    return result.reshape(rows, *image.shape[1:])


def _triangle_weights(size: int, new_size: int, start: int, stop: int) -> tuple[int, np.ndarray]:
    """First input row, and float64 [stop - start, input rows] of weights, for output rows start..stop.

    They are multiples of 2^-22 like Pillow's integer weights, so that float64 sums of them are exact and round alike.
    """
    scale = size / new_size
    reach = max(scale, 1.0)  # half the triangle's base, in input rows
    centres = (np.arange(start, stop) + 0.5) * scale
    lowest = np.maximum(np.floor(centres - reach + 0.5), 0)
    highest = np.minimum(np.floor(centres + reach + 0.5), size)
    taps = np.arange(int(lowest[0]), int(highest[-1]))
    weights = np.maximum(1 - abs(taps + 0.5 - centres[:, None]) / reach, 0)
    weights *= (taps >= lowest[:, None]) & (taps < highest[:, None])
    weights /= weights.sum(axis=1, keepdims=True)
    return int(lowest[0]), np.floor(weights * _WEIGHT_STEPS + 0.5) / _WEIGHT_STEPS


def _sample(image: np.ndarray, factor: int, axis: int) -> np.ndarray:
    """Every `factor`-th sample along `axis`, taken where bicubic interpolation takes it."""
    size = image.shape[axis]
    if factor % 2:
        return image.take(range(factor // 2, size, factor), axis)
    below = np.arange(factor // 2 - 1, size, factor)
    taps = [image.take(np.clip(below + offset, 0, size - 1), axis) for offset in (-1, 0, 1, 2)]
    total = taps[0] * _HALF_STEP_TAPS[0]
    for tap, weight in zip(taps[1:], _HALF_STEP_TAPS[1:], strict=True):
        total += tap * weight
    return total
