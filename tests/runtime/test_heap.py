"""Memory that operators free is used again while a prompt is read, and goes back to the system after it."""

import ctypes
import mmap
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edge.runtime.heap import MANY_TOKENS, heap_for, kept_heap
from tests.cli.child import ROOT

BYTES = 24 << 20


@pytest.fixture(autouse=True)
def glibc() -> None:
    if not hasattr(ctypes.CDLL(None), "mallopt"):
        pytest.skip("this system has no mallopt: its allocator decides for itself")


def page_faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


def filled() -> None:
    memory = ctypes.CDLL(None).malloc
    memory.restype, memory.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    free = ctypes.CDLL(None).free
    free.argtypes = [ctypes.c_void_p]
    place = memory(BYTES)
    ctypes.memset(place, 1, BYTES)
    free(place)


def test_the_second_result_of_a_prompt_costs_no_page_faults() -> None:
    with kept_heap():
        filled()
        before = page_faults()
        for _ in range(10):
            filled()
        assert page_faults() - before < BYTES / mmap.PAGESIZE  # each of the ten alone would have cost as many


def test_what_a_prompt_used_goes_back_to_the_system() -> None:
    before = resident()
    with kept_heap():
        filled()
        assert resident() - before > BYTES / 2
    assert resident() - before < BYTES / 2


def test_it_is_given_back_when_the_last_of_two_threads_is_done() -> None:
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with kept_heap():
            inside.set()
            leave.wait()

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait()
    before = resident()
    with kept_heap():
        filled()
    assert resident() - before > BYTES / 2
    leave.set()
    thread.join()
    assert resident() - before < BYTES / 2


def test_an_error_inside_gives_back_as_well() -> None:
    before = resident()
    with pytest.raises(ValueError, match="inside"), kept_heap():
        filled()
        raise ValueError("inside")
    assert resident() - before < BYTES / 2


def kept_bytes(tokens: int) -> int:
    """What is still resident inside `heap_for` after an operator's result was freed."""
    before = resident()
    with heap_for(tokens):
        filled()
        return resident() - before


@pytest.mark.parametrize(("tokens", "kept"), [(1, False), (MANY_TOKENS, True)])
def test_single_tokens_leave_the_heap_alone_and_a_prompt_keeps_it(tokens: int, kept: bool) -> None:
    # a process of its own: in an old one malloc finds a hole among its freed chunks and asks the system for nothing
    code = f"from tests.runtime.test_heap import kept_bytes; print(kept_bytes({tokens}))"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert (int(child.stdout) > BYTES / 2) is kept
