"""python -m benchmarks.crash_export CHECKPOINT: kill -9 an export at random moments, resume, compare every hash."""

import hashlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer


def start(source: Path, out: Path, max_ram: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "edge.cli.main", "export", str(source), str(out)]
    return subprocess.Popen([*command, "--max-ram", max_ram], stderr=subprocess.DEVNULL)


def hashes(bundle: Path) -> dict[str, str]:
    """SHA-256 of every file; both bundles have the same name, because bundle.json contains it."""
    found = {}
    for file in sorted(bundle.iterdir()):
        with file.open("rb") as opened:
            found[file.name] = hashlib.file_digest(opened, "sha256").hexdigest()
    return found


def main(
    source: Path,
    kills: Annotated[int, typer.Option(min=1)] = 20,
    seed: int = 0,
    max_ram: str = "2GB",
    work: Annotated[Path | None, typer.Option(help="Where to write; twice the bundle's size.")] = None,
) -> None:
    chance = random.Random(seed)
    root = Path(tempfile.mkdtemp(dir=work))
    try:
        whole, killed = root / "whole" / "bundle", root / "killed" / "bundle"
        began = time.monotonic()
        if start(source, whole, max_ram).wait():
            raise SystemExit("the uninterrupted export failed")
        seconds = time.monotonic() - began
        expected = hashes(whole)
        for number in range(kills):
            shutil.rmtree(killed, ignore_errors=True)
            moment = chance.uniform(0.2, seconds)
            process = start(source, killed, max_ram)
            try:
                process.wait(moment)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            print(f"kill {number + 1} of {kills} after {moment:.1f} s, bundle exists: {killed.exists()}", flush=True)
            if killed.exists() and hashes(killed) != expected:
                raise SystemExit("a half bundle under the final name")
            if not killed.exists() and start(source, killed, max_ram).wait():
                raise SystemExit("the resumed export failed")
            if hashes(killed) != expected:
                raise SystemExit("the resumed export has other bytes")
        leftovers = [path.name for path in killed.parent.iterdir() if path != killed]
        print(f"{kills} kills, all hashes identical, leftovers: {leftovers or 'none'}")
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    typer.run(main)
