"""Buffers that grow must not change what is computed."""

from pathlib import Path

import numpy as np

from edge.bundle.bundle import Bundle
from edge.runtime.decoder import Decoder


def decoder(bundle: Path) -> Decoder:
    return Decoder.load(Bundle.open(bundle), threads=1)


def test_growing_the_cache_in_the_middle_of_a_sequence_keeps_the_logits(phi3_float_bundle: Path) -> None:
    ids = np.random.default_rng(0).integers(0, 400, 300)
    roomy, growing = decoder(phi3_float_bundle), decoder(phi3_float_bundle)
    roomy.reserve(300, True)
    growing.reserve(10, True)
    expected = roomy.prefill(ids, rows=np.arange(300))
    got = [growing.prefill(ids[:10], rows=np.arange(10))]
    capacity = growing.cache.capacity
    growing.reserve(300, True)
    assert growing.cache.capacity > capacity
    got.append(growing.prefill(ids[10:], rows=np.arange(290)))
    assert np.abs(np.concatenate(got) - expected).max() < 1e-4


def test_rewinding_forgets_what_came_after(phi3_float_bundle: Path) -> None:
    ids = np.random.default_rng(1).integers(0, 400, 40)
    one, other = decoder(phi3_float_bundle), decoder(phi3_float_bundle)
    for each in (one, other):
        each.reserve(64, False)
    one.prefill(ids[:20])
    one.prefill(np.zeros(10, np.int64))
    one.rewind(20)
    other.prefill(ids[:20])
    assert np.array_equal(one.prefill(ids[20:]), other.prefill(ids[20:]))


def test_choosing_the_other_rotary_regime_empties_the_cache(phi3_float_bundle: Path) -> None:
    one = decoder(phi3_float_bundle)
    one.reserve(32, False)
    one.prefill([1, 2, 3])
    one.reserve(32, True)
    assert one.length == 0
