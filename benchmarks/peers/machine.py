"""Facts about the machine that a reader needs to judge the numbers, and whether it was quiet."""

import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

KERNEL_FLAGS = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "amx_int8", "asimddp", "i8mm", "sme")


def _cpuinfo(key: str) -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""


def _governor() -> str:
    path = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    return path.read_text().strip() if path.exists() else "not reported"


def machine_facts() -> dict[str, Any]:
    flags = set((_cpuinfo("flags") or _cpuinfo("Features")).split())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": _cpuinfo("model name") or platform.processor() or platform.machine(),
        "cpu_features": [flag for flag in KERNEL_FLAGS if flag in flags],
        "cpus": len(os.sched_getaffinity(0)),
        "memory_bytes": memory,
        "governor": _governor(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def git_commit(root: Path) -> str:
    """Commit of the working tree, '+' appended when files differ from it; 'unknown' outside of a repository."""
    try:
        run = [
            subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True).stdout
            for arguments in (("rev-parse", "--short=12", "HEAD"), ("status", "--porcelain"))
        ]
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return run[0].strip() + ("+" if run[1].strip() else "")


def busy_share(seconds: float = 0.5) -> float:
    """Share of all CPU time that somebody used during the next `seconds` (0 quiet, 1 every core busy)."""

    def ticks() -> tuple[int, int]:
        values = [int(value) for value in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        return sum(values), values[3] + values[4]

    total, idle = ticks()
    time.sleep(seconds)
    later, later_idle = ticks()
    return round(1 - (later_idle - idle) / max(1, later - total), 3)


def warm_page_cache(directory: Path) -> None:
    """Reads every file once, so that no engine's load time depends on who ran before it."""
    buffer = bytearray(1 << 22)
    for path in sorted(file for file in directory.rglob("*") if file.is_file()):
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass
