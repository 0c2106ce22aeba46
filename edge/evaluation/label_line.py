"""One JSON object of a labels file, read field by field; every complaint names file, line and field."""

from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from edge.errors import InputError
from edge.media.regular_file import open_regular_file

FIELDS = ("audio", "image", "prompt", "tools", "expect", "transcript", "answer", "calls", "metric", "group")


class LabelLine:
    """`where` is the file and line for errors; paths in the line are relative to `folder`. Raises InputError."""

    def __init__(self, where: str, value: Any, folder: Path) -> None:
        self._where, self._folder = where, folder
        if not isinstance(value, dict):
            raise InputError(f"{where} is not an object.", 'write {"audio": "FILE", "transcript": "hello"}')
        self._value = value
        for name in value:
            if name not in FIELDS:
                near = get_close_matches(name, FIELDS, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(FIELDS)}"
                self.refuse(ascii(name)[1:-1][:40], "is unknown", hint)

    def refuse(self, field: str, fault: str, hint: str) -> NoReturn:
        raise InputError(f"{self._where}: the field {field} {fault}.", hint)

    def text(self, field: str) -> str | None:
        """None when the line does not have it."""
        value = self._value.get(field)
        if field in self._value and not isinstance(value, str):
            self.refuse(field, "is not a text", f'write it like "{field}": "words"')
        return value

    def expectation(self, kinds: tuple[str, ...]) -> tuple[str, Any]:
        """(which of `kinds`, its value): named once, in the line itself or within `expect`."""
        inner = self._value.get("expect", {})
        if not isinstance(inner, dict):
            self.refuse("expect", "is not an object", 'write it like "expect": {"answer": "66.00"}')
        for name in inner:
            if name not in kinds:
                self.refuse("expect", f"holds {ascii(name)[:40]}", f"use one of {', '.join(kinds)}")
        found = [(name, place[name]) for place in (self._value, inner) for name in kinds if name in place]
        if len(found) != 1:
            fault = "has two expectations in this line" if found else "is missing: nothing is expected"
            self.refuse("expect", fault, f"give one of {', '.join(kinds)}")
        return found[0]

    def path(self, field: str, wanted: str) -> Path | None:
        """A file that is there and not empty."""
        name = self.text(field)
        return None if name is None else self._file(field, name, wanted)

    def media(self, field: str, wanted: str) -> tuple[Path, ...]:
        """One file name or a list of them."""
        names = self._value.get(field, [])
        names = [names] if isinstance(names, str) else names
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            self.refuse(field, "is neither a file name nor a list of them", f'write it like "{field}": "FILE"')
        return tuple(self._file(field, name, wanted) for name in names)

    def _file(self, field: str, name: str, wanted: str) -> Path:
        path = (self._folder / name).absolute()
        try:
            with open_regular_file(path, wanted) as file:
                empty = not file.read(1)
        except InputError as error:
            self.refuse(field, f"names a file that cannot be used: {str(error).rstrip('.')}", error.hint)
        if empty:
            self.refuse(field, f"names {path}, which is empty (0 bytes)", f"give {wanted} that you can open")
        return path
