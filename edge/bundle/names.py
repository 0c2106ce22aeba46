"""What a bundle and the files in it may be called: names that mean the same on every file system."""

import re
from collections.abc import Iterable

MAX_DEPTH = 3
_COMPONENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,98}[A-Za-z0-9_+-]|[A-Za-z0-9]")


def name_fault(name: object) -> str | None:
    """Why `name` cannot be one plain path component, or None when it can."""
    if not isinstance(name, str) or not name:
        return "is empty or not a text"
    if len(name) > 100:
        return "is longer than 100 characters"
    if not _COMPONENT.fullmatch(name):
        return "may hold only letters, digits and . _ + - (and neither starts nor ends with a dot)"
    return None


def path_fault(path: object) -> str | None:
    """Why `path` cannot be a file of a bundle, or None when it can: relative, plain, at most 3 deep."""
    if not isinstance(path, str) or not path:
        return "is empty or not a text"
    parts = path.split("/")
    if len(parts) > MAX_DEPTH:
        return f"is more than {MAX_DEPTH} levels deep"
    return next((fault for part in parts if (fault := name_fault(part))), None)


def same_when_folded(paths: Iterable[str]) -> tuple[str, str] | None:
    """Two of `paths` that a file system without letter case cannot hold side by side, or None.

    Names are ASCII by the rules above, so that Unicode normalisation cannot make two of them equal. A file
    that is also another one's directory clashes in the same way.
    """
    seen: dict[str, str] = {}
    folders: dict[str, str] = {}
    for path in paths:
        folded = path.casefold()
        if folded in seen:
            return seen[folded], path
        seen[folded] = path
        parts = path.split("/")
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            if folders.setdefault(folder.casefold(), folder) != folder:
                return folders[folder.casefold()], folder
    return next(((folders[name], path) for name, path in seen.items() if name in folders), None)


def shown(name: str) -> str:
    """`name` for a message: escaped unless plain, so that it cannot forge terminal output."""
    return name if path_fault(name) is None else ascii(name)[:120]
