"""Reading sizes such as 2GB from the command line."""

import re

from edge.errors import UsageError

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "KI": 1 << 10, "MI": 1 << 20, "GI": 1 << 30}


def parse_size(text: str) -> int:
    """'1500M', '2GB', '1.5 GiB' -> bytes. Raises UsageError."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMG]I?)?B?\s*", text.upper())
    if not match:
        raise UsageError(f"{text!r} is not a size", "write it like 1500MB, 2GB or 1.5GiB")
    return int(float(match[1]) * UNITS[match[2] or ""])
