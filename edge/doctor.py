"""Is this machine fit to run a bundle? Facts and checks, each with the next step when it fails."""

import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.cpu import cpu_flags
from edge.errors import EdgeError

if TYPE_CHECKING:
    from edge.bundle.bundle import Bundle

OLDEST_YEAR = 2026
FAST_X86 = ("avx512_vnni", "avx_vnni", "avx2")
FAST_ARM = ("i8mm", "asimddp")


@dataclass(frozen=True, slots=True)
class Check:
    """Without what is not `needed` the machine still does the rest."""

    name: str
    ok: bool
    detail: str
    next_step: str = ""
    needed: bool = True


def machine_facts() -> dict[str, Any]:
    """What a measurement must be read with: CPU, cores, memory, system, versions."""
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "memory_bytes": _memory().get("MemTotal", 0),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in ("phi-edge", "onnxruntime", "numpy", "tokenizers")},
    }


def peak_rss() -> int:
    """Highest resident memory of this process so far, in bytes."""
    for line in _lines("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    import resource  # on Linux this would start at what the parent process had at the fork

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def run_checks(bundle: str | None = None, microphone: str | None = None, camera: str | None = None) -> list[Check]:
    """All checks in reading order; a failing one never stops the others, and only failing ones have a next step.

    A microphone or camera is needed only if one is named here.
    """
    from edge.device_checks import check_camera, check_microphone

    checks: list[Callable[[], Check]] = [
        check_cpu,
        check_memory,
        check_disk,
        check_clock,
        check_runtime,
        lambda: check_bundle(bundle),
        lambda: check_microphone(microphone, microphone is not None),
        lambda: check_camera(camera),
    ]
    done = [check() for check in checks]
    return [replace(check, next_step="") if check.ok else check for check in done]


def check_cpu() -> Check:
    flags = cpu_flags()
    machine = platform.machine()
    wanted = FAST_ARM if machine in ("aarch64", "arm64") else FAST_X86
    found = [flag for flag in wanted if flag in flags]
    name = f"{_cpu_name()}, {os.cpu_count()} cores"
    if found:
        return Check("cpu", True, f"{name}, {found[0]}")
    return Check("cpu", not flags, f"{name}, none of {', '.join(wanted)}", "answers will be slow; use a newer CPU")


def check_memory() -> Check:
    memory = _memory()
    free, total = memory.get("MemAvailable", 0), memory.get("MemTotal", 0)
    detail = f"{free / 1e9:.1f} of {total / 1e9:.1f} GB free"
    return Check("memory", not memory or free > 500e6, detail, "close other programs")


def check_disk() -> Check:
    from edge.bundle.files import free_bytes
    from edge.bundle.store import bundles_dir

    path = bundles_dir()
    free = free_bytes(path)
    existing = next(one for one in (path, *path.parents) if one.exists())
    writable = os.access(existing, os.W_OK)
    ok = free > 1e9 and writable
    detail = f"{free / 1e9:.1f} GB free for {path}" + ("" if writable else ", not writable")
    return Check("disk", ok, detail, "set EDGE_HOME to a directory with space that you may write to")


def check_clock() -> Check:
    year = time.gmtime().tm_year
    return Check("clock", year >= OLDEST_YEAR, time.strftime("%Y-%m-%d %H:%M"), "set the date of this machine")


def check_runtime() -> Check:
    """A matrix product in the format the bundles use, against numpy."""
    try:
        from edge.runtime.selftest import int4_error

        error = int4_error()
    except Exception as problem:  # whatever is wrong with the installation is what we want to show
        return Check(
            "runtime", False, f"onnxruntime does not work: {problem}"[:200], "pip install --force-reinstall phi-edge"
        )
    return Check(
        "runtime", error < 0.02, f"onnxruntime {_version('onnxruntime')}, int4 error {error:.4f}", "report this"
    )


def check_bundle(name: str | None) -> Check:
    from edge.bundle.bundle import Bundle
    from edge.bundle.files import size_text
    from edge.bundle.store import default_bundle, resolve
    from edge.bundle.verify import verify

    try:
        path = resolve(name) if name else default_bundle()
        bundle = Bundle.open(path)
        report = verify(bundle)
    except EdgeError as error:
        return Check("bundle", False, str(error), error.hint)
    if not report.ok:
        return Check("bundle", False, report.problems[0], f"edge bundle verify {path}")
    if fault := _tuned_fault(bundle):
        return Check("bundle", False, f"the tuned copy of {path.name} is no good: {fault}", f"edge bundle tune {path}")
    return Check("bundle", True, f"{path.name}, {size_text(report.bytes)}, every byte checked")


def _tuned_fault(bundle: "Bundle") -> str:
    try:
        from edge.runtime.tune import tuned_directory, tuned_fault
    except ImportError:
        return ""  # onnxruntime is broken, which check_runtime reports
    return tuned_fault(bundle, hash_weights=True) if tuned_directory(bundle).is_dir() else ""


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def _cpu_name() -> str:
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _memory() -> dict[str, int]:
    fields = (line.split() for line in _lines("/proc/meminfo"))
    return {parts[0].rstrip(":"): int(parts[1]) * 1024 for parts in fields if len(parts) >= 2}
