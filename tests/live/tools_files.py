"""Tools files with "run", and processes that a test watches."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edge.live.actions import Action, load_actions

PATIENCE_S = 30.0
TEXT = {"type": "string"}
ARGUMENTS = {"line": {"type": "integer"}, "speed": TEXT, "note": TEXT, "on": {"type": "boolean"}, "plan": {}}


def tool(run: Any, required: Sequence[str] = (), name: str = "act") -> dict[str, Any]:
    schema = {"type": "object", "properties": ARGUMENTS, "required": list(required)}
    return {"type": "function", "function": {"name": name, "parameters": schema}, "run": run}


def load(folder: Path, *entries: dict[str, Any]) -> dict[str, Action]:
    path = folder / "tools.json"
    path.write_text(json.dumps(entries))
    return load_actions(path)


def action(folder: Path, run: Any, required: Sequence[str] = ()) -> Action:
    return load(folder, tool(run, required))["act"]


def until(true: Callable[[], Any]) -> None:
    """Waits for what must become true; the test fails when it does not."""
    give_up = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < give_up, "it never happened"
        time.sleep(0.01)


def runs(pid: int) -> bool:
    """A dead process that nobody waited for yet does not run."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
