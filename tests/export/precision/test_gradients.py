"""Derivatives of a decoder layer agree with what a small step really does."""

from collections.abc import Callable

import numpy as np
import pytest

from edge.bundle.manifest import Rotary
from export.architectures.spec import DecoderSpec
from export.calibration.layer import LayerMath
from export.precision.gradients import attended_back, gated_back, normed_back

TOKENS, STEP = 11, 1e-5


def layer(window: int = 0, partial: bool = True) -> LayerMath:
    """Two query heads for each key, and rotation of half the dimensions if `partial`."""
    rotary = Rotary(dim=4 if partial else 8, inv_freq=[1.0, 0.3] if partial else [1.0, 0.6, 0.3, 0.1])
    return LayerMath(
        DecoderSpec(
            "test", 1, 12, 10, 4, 2, 8, 50, 64, 1e-5, rotary, False, layer_tensors=[], sliding_window=window
        )
    )  # fmt: skip


def agrees(
    forward: Callable[[np.ndarray], np.ndarray], back: Callable[[np.ndarray], np.ndarray], x: np.ndarray
) -> None:
    """`back` of a gradient g, times a direction, is how g · forward changes along it."""
    rng = np.random.default_rng(1)
    grad = rng.standard_normal(forward(x).shape)
    for _ in range(5):
        direction = rng.standard_normal(x.shape)
        changed = ((forward(x + STEP * direction) - forward(x - STEP * direction)) * grad).sum() / (2 * STEP)
        assert (back(grad) * direction).sum() == pytest.approx(changed, rel=1e-4, abs=1e-6)


def test_of_the_norm() -> None:
    rng, math = np.random.default_rng(2), layer()
    x, gain = rng.standard_normal((TOKENS, 12)), rng.standard_normal(12)

    def exact(x: np.ndarray) -> np.ndarray:
        made: np.ndarray = x / np.sqrt(np.square(x).mean(axis=1, keepdims=True) + np.float32(1e-5)) * gain
        return made

    np.testing.assert_allclose(math.normed(x, gain), exact(x), rtol=1e-6)
    agrees(exact, lambda grad: normed_back(math, x, gain, grad), x)


def test_of_the_gated_silu() -> None:
    math, both = layer(), np.random.default_rng(3).standard_normal((TOKENS, 20))
    agrees(math.gated, lambda grad: gated_back(math, both, grad), both)


@pytest.mark.parametrize("window", [0, 4])
@pytest.mark.parametrize("partial", [False, True])
def test_of_attention(window: int, partial: bool) -> None:
    math = layer(window, partial)
    qkv = np.random.default_rng(4).standard_normal((TOKENS, sum(math.spec.qkv_rows)))
    agrees(math.attended, lambda grad: attended_back(math, qkv, grad), qkv)
