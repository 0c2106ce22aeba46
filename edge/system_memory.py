"""How much memory is left on this machine, or in the container that this process may be in."""

from collections.abc import Iterator
from pathlib import Path


def available_memory() -> int | None:
    """Free and reclaimable bytes, within the limit of the control group; None where the system does not say."""
    known = [int(line.split()[1]) * 1024 for line in _lines(Path("/proc/meminfo")) if line.startswith("MemAvailable:")]
    known += [limit - used for limit, used in _control_group()]
    return min(known, default=None)


def _control_group() -> Iterator[tuple[int, int]]:
    """(limit, used and not reclaimable) of the group this process is in, if it has a limit; version 2 and 1."""
    for folder, limit_file, usage_file, cached in (
        (".", "memory.max", "memory.current", "file "),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_cache "),
    ):
        group = Path("/sys/fs/cgroup") / folder
        limit, usage = (_number(group / file) for file in (limit_file, usage_file))
        reclaimable = [int(line.split()[1]) for line in _lines(group / "memory.stat") if line.startswith(cached)]
        if limit is not None and usage is not None:
            yield limit, usage - sum(reclaimable)


def _number(path: Path) -> int | None:
    text = "".join(_lines(path))
    return int(text) if text.isdigit() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
