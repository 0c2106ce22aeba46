"""The interpreter that has the peers: one the user names, or a virtual environment in the work directory."""

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.peers.lineup import Contender

REQUIREMENTS = Path(__file__).with_name("requirements.txt")

FLAGS = "-fno-tree-dse -fno-dse"
"""GCC drops stores to the AMX tile configuration, which ggml's intrinsics only half declare as read; the default
build then dies of SIGSEGV on CPUs with AMX. Without dead-store elimination llama.cpp runs, AMX kernels included."""


def make(work: Path, tell: Callable[[str], None]) -> str:
    """Path of the environment's interpreter; it is made only once per work directory."""
    home = work / "peers-venv"
    python = home / "bin" / "python"
    if (home / "complete").exists():
        return str(python)
    tell(f"installing the peers into {home} (llama.cpp is compiled, this takes several minutes)")
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
    flags = shlex.quote(FLAGS)
    environment = {"CMAKE_ARGS": f"-DCMAKE_C_FLAGS={flags} -DCMAKE_CXX_FLAGS={flags}"}
    install = [str(python), "-m", "pip", "install", "--quiet", "--requirement", str(REQUIREMENTS)]
    subprocess.run(["env", *(f"{k}={v}" for k, v in environment.items()), *install], check=True)
    (home / "complete").touch()
    return str(python)


def interpreter_for(contender: Contender, peers: str) -> str:
    return sys.executable if contender.own else peers
