"""The interpreters that have the other runtimes: those that a user names, or environments in the work directory."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path


def environment(name: str, work: Path, tell: Callable[[str], None]) -> str:
    """Path of an interpreter with NAME-requirements.txt installed; made only once per work directory."""
    home = work / f"{name}-venv"
    python = home / "bin" / "python"
    if not (home / "complete").exists():
        tell(f"installing {name} into {home}")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        requirements = Path(__file__).with_name(f"{name}-requirements.txt")
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--requirement", str(requirements)], check=True)
        (home / "complete").touch()
    return str(python)
