"""Advice about memory changes where pages lie, never what is in them."""

import mmap
import os
from pathlib import Path

import numpy as np
import pytest

from edge.runtime.huge_pages import HUGE, Promotion
from edge.runtime.mapped_weights import release_mapped
from edge.runtime.memory_maps import regions

SIZE = 64 << 20


def region_of(address: int) -> tuple[int, int]:
    """(resident, own) bytes of the region that holds this address."""
    return next((r.resident, r.own) for r in regions() if r.start <= address < r.start + r.size)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weights" / "tuned.bin"
    path.parent.mkdir()
    path.write_bytes(np.random.default_rng(0).bytes(SIZE))
    return path


def test_released_weights_leave_this_process_and_come_back_unchanged(file: Path) -> None:
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY) as mapped:
        array = np.frombuffer(mapped, np.uint8)
        before = int(array.sum(dtype=np.uint64))
        address = array.ctypes.data
        assert region_of(address)[0] == SIZE
        release_mapped(file.parent)
        assert region_of(address)[0] == 0
        assert int(array.sum(dtype=np.uint64)) == before
        del array


def test_changed_pages_and_other_directories_are_left_alone(file: Path) -> None:
    """A private mapping that was written to is the only place where its contents are."""
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY) as mapped:
        array = np.frombuffer(mapped, np.uint8)
        array[0] = 77
        before = array.copy()
        release_mapped(file.parent)
        assert np.array_equal(array, before)
        release_mapped(file.parent.parent / "else")
        assert region_of(array.ctypes.data)[1] > 0
        del array


def test_promoted_pages_keep_their_contents_and_holes_stay_holes() -> None:
    full = np.random.default_rng(1).integers(0, 255, 400 << 20, np.uint8)
    sparse = np.zeros(SIZE, np.uint8)  # untouched, like the unused part of a KV cache
    checksum = int(full.sum(dtype=np.uint64))
    promotion = Promotion()
    promotion.start()
    promotion._thread.join()
    assert int(full.sum(dtype=np.uint64)) == checksum
    assert region_of(sparse.ctypes.data)[0] < SIZE // 2
    kernel = tuple(int(part) for part in os.uname().release.split(".")[:2])
    if kernel >= (6, 1):
        rollup = Path("/proc/self/smaps_rollup").read_text().splitlines()
        huge = next(int(line.split()[1]) * 1024 for line in rollup if line.startswith("AnonHugePages"))
        assert huge >= len(full) // 2 or not Path("/sys/kernel/mm/transparent_hugepage").exists()


def test_a_promotion_can_be_stopped_before_it_is_done() -> None:
    full = np.ones(600 << 20, np.uint8)
    promotion = Promotion()
    promotion.start()
    promotion.stop()
    assert not promotion._thread.is_alive()
    assert full.min() == 1 and len(full) > HUGE
