"""A reader who is late loses the oldest blocks, never the newest, and is told how much."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from edge.devices.ring import Ring

STEPS = st.lists(st.one_of(st.none(), st.binary(min_size=1, max_size=6)), max_size=40)


@given(STEPS, st.integers(1, 5))
def test_what_is_taken_is_what_was_put_in_order_less_what_is_counted_as_dropped(
    steps: list[bytes | None], limit: int
) -> None:
    ring, put, taken, counted = Ring(limit), b"", 0, 0
    for step in [*steps, *[None] * limit]:
        if step is not None:
            ring.put(step)
            put += step
        elif found := ring.take(0):
            block, dropped = found
            start = taken + dropped
            assert put[start : start + len(block)] == block
            taken, counted = taken + len(block), dropped
    assert taken + counted == len(put)


def test_a_full_ring_keeps_the_newest() -> None:
    ring = Ring(2)
    for block in (b"aaa", b"bb", b"c"):
        ring.put(block)
    assert [ring.take(0), ring.take(0), ring.take(0)] == [(b"bb", 3), (b"c", 3), None]


def test_a_waiting_reader_is_woken() -> None:
    ring = Ring(2)
    writer = threading.Timer(0.01, ring.put, [b"x"])
    writer.start()
    assert ring.take(30) == (b"x", 0)
    writer.join()
