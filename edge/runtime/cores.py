"""Which cores this process may use, and which of them are the fast ones."""

import os
from pathlib import Path

CPUS = Path("/sys/devices/system/cpu")
ALIKE = 0.8
"""A core at least this fast belongs to the fastest ones: favoured cores of one kind differ by a few percent."""


def physical_cores(cpus: Path = CPUS) -> int:
    """Decoding is bound by memory, hyper-threads only fight over it."""
    return max(1, len(_cores(cpus)))


def core_counts(cpus: Path = CPUS) -> list[int]:
    """Numbers of threads worth trying: all cores of the fastest kind, those and the next kind, …, all. One number where
    all cores are alike or Linux does not tell."""
    speeds = sorted(_cores(cpus), reverse=True)
    counts = [at for at in range(1, len(speeds)) if speeds[at] < ALIKE * speeds[at - 1]]
    return [*counts, max(1, len(speeds))]


def _cores(cpus: Path) -> list[int]:
    """The speed of each core, in any unit: of its relative capacity (ARM, hybrid x86), or its highest frequency."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    found = {}
    for cpu in allowed:
        folder = cpus / f"cpu{cpu}"
        siblings = _read(folder / "topology/thread_siblings_list") or str(cpu)
        found[siblings] = _read(folder / "cpu_capacity") or _read(folder / "cpufreq/cpuinfo_max_freq")
    if not all(found.values()):  # what is not known of one cannot be compared
        return [0] * len(found)
    return [int(speed) for speed in found.values()]


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
