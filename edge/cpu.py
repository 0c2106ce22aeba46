"""What this machine's processor can do, and whether that is enough. Knows nothing but the standard library."""

import os
from functools import cache
from pathlib import Path

from edge.errors import ResourceError

CPUINFO = Path("/proc/cpuinfo")
FIRST_CORE = 1 << 14
"""Bytes of /proc/cpuinfo that hold the first core for certain; writing down 128 of them costs the kernel a while."""

NEEDED = {
    "x86_64": (("ssse3", "sse4_1", "sse4_2", "popcnt"), "nearly all x86-64 ones since 2012"),
    "aarch64": (("asimd",), "any 64-bit ARM one"),
}
"""Of numpy and onnxruntime, whose wheels are compiled for no less and die of an illegal instruction otherwise."""


def cpu_flags(cpuinfo: Path = CPUINFO) -> frozenset[str]:
    """Instruction sets of the first core as Linux calls them; empty where that is not known."""
    try:
        with cpuinfo.open("rb", buffering=0) as file:
            lines = file.read(FIRST_CORE).decode(errors="replace").splitlines()
    except OSError:
        return frozenset()
    for line in lines:
        if line.startswith(("flags", "Features")):
            return frozenset(line.partition(":")[2].split())
    return frozenset()


@cache
def require_cpu(cpuinfo: Path = CPUINFO, machine: str = "") -> None:
    """Raises ResourceError where the native libraries would end the process. To be called before they are loaded."""
    needed, enough = NEEDED.get(machine or os.uname().machine, ((), ""))
    flags = cpu_flags(cpuinfo)
    if flags and (lacking := [flag for flag in needed if flag not in flags]):
        raise ResourceError(
            f"this CPU lacks {', '.join(lacking)}, without which numpy and onnxruntime cannot run",
            f"use a machine whose CPU has them: {enough}",
        )
