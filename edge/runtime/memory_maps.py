"""This process's memory regions as Linux lists them; nothing elsewhere."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_HEADER = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ (\d+)\s*(.*)")


@dataclass(slots=True)
class Region:
    """`resident` bytes are in memory, `own` of them are not those of the file `path` ("" for anonymous memory)."""

    start: int
    size: int
    rights: str
    path: str
    resident: int = 0
    own: int = 0


def regions() -> Iterator[Region]:
    try:
        lines = Path("/proc/self/smaps").read_text().splitlines()
    except OSError:
        return
    region = None
    for line in lines:
        if header := _HEADER.match(line):
            if region:
                yield region
            low, high, rights, _, path = header.groups()
            region = Region(int(low, 16), int(high, 16) - int(low, 16), rights, path.strip())
        elif region and line.startswith("Rss:"):
            region.resident = int(line.split()[1]) * 1024
        elif region and line.startswith("Anonymous:"):
            region.own = int(line.split()[1]) * 1024
    if region:
        yield region
