"""Install a bundle again and again, each time killed one file operation later, until one install lives.

Run as a program with SOURCE and HOME; each round is a forked child that sends itself SIGKILL. Prints JSON:
operations (how many kill points there were), left (problems found after a kill), final (problems at the end),
hidden (leftovers after the install that lived). With a third argument the install replaces a bundle.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.bundle.store import bundles_dir, install
from edge.bundle.verify import verify

COUNTED = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "fcntl.flock")


def kill_at(moment: int) -> None:
    """Count every opening, writing, syncing, renaming and removing from now on; die before number `moment`."""
    count = 0

    def step() -> None:
        nonlocal count
        count += 1
        if count == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            step()
            return real(*arguments)

        return call

    sys.addaudithook(lambda event, _: step() if event in COUNTED else None)
    os.write, os.fsync, os.close = counted(os.write), counted(os.fsync), counted(os.close)


def run(source: Path, replace: bool) -> dict[str, Any]:
    target = bundles_dir() / "tiny"
    before = verify(target).digest if replace else ""
    left: list[str] = []
    for moment in range(1, 2000):
        child = os.fork()
        if child == 0:
            kill_at(moment)
            install(source, "tiny", replace=replace)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        report = verify(target)
        if target.exists() and not report.ok:
            left.append(f"kill {moment}: {report.problems[0]}")
        if replace and not target.exists():
            left.append(f"kill {moment}: the old bundle is gone and the new one is not there")
        if not os.WIFSIGNALED(status):
            break
        if target.exists() and not replace:
            # the kill came after the commit; the next install must refuse, so start anew
            target.rename(target.with_name(f"done-{moment}"))
    hidden = sorted(entry.name for entry in bundles_dir().iterdir() if entry.name.startswith("."))
    return {
        "operations": moment - 1,
        "left": left,
        "exit": os.waitstatus_to_exitcode(status),
        "final": list(verify(target).problems),
        "digest": verify(target).digest,
        "before": before,
        "hidden": hidden,
    }


if __name__ == "__main__":
    os.environ["EDGE_HOME"] = sys.argv[2]
    print(json.dumps(run(Path(sys.argv[1]), replace=len(sys.argv) > 3)))
