"""Runs one command as a child and measures it from outside."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ChildResult:
    """`max_rss_bytes` is the kernel's ru_maxrss of the child and of the children it waited for itself."""

    status: int
    seconds: float
    max_rss_bytes: int
    stdout: str

    def failure(self, log: Path) -> str:
        """One line that says how the child ended, with the last words of its log; empty if all went well."""
        if self.status == 0:
            return ""
        how = f"killed by signal {-self.status}" if self.status < 0 else f"exit status {self.status}"
        lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
        return f"{how}: {lines[-1][:200]}" if lines else how


def run_child(command: Sequence[str], log: Path, stdin: str = "", env: Mapping[str, str] = {}) -> ChildResult:
    """Waits for `command`, run in the repository root; its stderr goes to `log`, its stdout is returned.

    ru_maxrss starts at what the parent has resident at fork, so the caller must be small itself.
    """
    root = Path(__file__).resolve().parents[2]
    log.parent.mkdir(parents=True, exist_ok=True)
    request, output = log.with_suffix(".stdin"), log.with_suffix(".stdout")
    request.write_text(stdin)
    with log.open("wb") as errors, request.open("rb") as source, output.open("wb") as sink:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=root, stdin=source, stdout=sink, stderr=errors, env={**os.environ, **env}
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    return ChildResult(process.returncode, seconds, usage.ru_maxrss * 1024, output.read_text(errors="replace"))
