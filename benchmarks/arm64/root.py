"""A Debian for ARM64 in a folder, kept between runs, with the wheel in it; its programs run through QEMU."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.arm64.machines import Machine

REPOSITORY = Path(__file__).parents[2]
MIRROR = "http://deb.debian.org/debian"
RELEASE, PYTHON, GLIBC = "bookworm", "3.11", 36
PROGRAMS = {"debootstrap": "debootstrap", "qemu-aarch64-static": "qemu-user-static", "unshare": "util-linux"}
BINFMT = Path("/proc/sys/fs/binfmt_misc")
HANDLER = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")
TEST_PACKAGES = ("pytest", "pytest-timeout", "hypothesis")
ENTER = """
mount -t proc proc "$1/proc" && mount --bind "$2" "$1/proc/cpuinfo" &&
mkdir -p "$1/sys/devices/system/cpu" && mount --bind "$3" "$1/sys/devices/system/cpu" &&
mount -t tmpfs tmpfs "$1/dev/shm" && root=$1 && shift 3 && exec chroot "$root" "$@"
"""
"""In a mount namespace of its own: nothing stays mounted when it ends."""
PIP_FOR_ARM = (
    "import platform, runpy; platform.machine = lambda: 'aarch64'; runpy.run_module('pip', run_name='__main__')"
)
"""pip chooses wheels by --platform, but requirements (`; platform_machine == …`) by the machine that it runs on."""


def missing() -> Iterator[str]:
    """Why nothing can be emulated here, one reason each."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        yield f"this is {platform.system()} on {platform.machine()}, not Linux on x86_64"
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        yield "debootstrap and chroot need root"
    absent = sorted(package for program, package in PROGRAMS.items() if shutil.which(program) is None)
    if absent:
        yield f"{' and '.join(absent)} not installed (apt install {' '.join(absent)}, or --install)"
    elif not _registered():
        yield f"the kernel does not start ARM64 programs through QEMU (no {BINFMT / 'qemu-aarch64'})"


def install_programs() -> None:
    """Raises CalledProcessError."""
    _run("apt-get", "update", "-qq")
    _run("apt-get", "install", "-y", "-qq", *sorted(set(PROGRAMS.values())))


def _registered() -> bool:
    """Registers QEMU with the kernel, as its package does at a start of the machine, where that has not happened."""
    try:
        if not (BINFMT / "register").exists():
            subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(BINFMT)], check=False, capture_output=True)
        if not (BINFMT / "qemu-aarch64").exists():
            (BINFMT / "register").write_text(HANDLER.read_text().strip())
    except OSError:
        return False
    return (BINFMT / "qemu-aarch64").exists()


@dataclass(frozen=True, slots=True)
class Root:
    """`work`/root is the system, /opt/site in it the wheel with its packages, /project the tests."""

    work: Path

    @property
    def path(self) -> Path:
        return self.work / "root"

    def make(self) -> None:
        """What is there already stays, but for the wheel and the tests. Raises CalledProcessError."""
        done = self.work / "root.done"
        if not done.exists():
            shutil.rmtree(self.path, ignore_errors=True)
            options = (f"--include=python{PYTHON}", "--variant=minbase", "--arch=arm64")
            _run("debootstrap", *options, RELEASE, str(self.path), MIRROR)
            done.touch()
        self._install(self._wheel())
        project = self.path / "project"
        shutil.rmtree(project, ignore_errors=True)
        for name in ("tests", "benchmarks"):
            shutil.copytree(REPOSITORY / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(REPOSITORY / "pyproject.toml", project)

    def command(self, machine: Machine, *command: str) -> list[str]:
        """Python with these arguments in /project, on that machine. It sees the wheel, not the repository."""
        info, system = machine.describe(self.work / "machines")
        env = ("PYTHONDONTWRITEBYTECODE=1", "HOME=/tmp", f"QEMU_CPU={machine.cpu}")
        enter = ("unshare", "--mount", "--propagation", "private")
        inside = ("/usr/bin/env", "-i", "--chdir=/project", "PATH=/usr/bin:/bin", *env, f"python{PYTHON}", *command)
        return [*enter, "sh", "-c", ENTER, "sh", *map(str, (self.path, info, system)), *inside]

    def run(self, machine: Machine, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(machine, *command), capture_output=True, text=True, check=False)

    def _wheel(self) -> Path:
        """Built of a copy of the sources, because a build leaves files among them."""
        source, out = self.work / "source", self.work / "wheel"
        for folder in (source, out):
            shutil.rmtree(folder, ignore_errors=True)
        source.mkdir(parents=True)
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(REPOSITORY / name, source)
        for name in ("edge", "export", "quant"):
            shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        _pip("wheel", "--no-deps", "--wheel-dir", out, source)
        (built,) = out.glob("*.whl")
        return built

    def _install(self, wheel: Path) -> None:
        """From outside, with pip told about the other machine: the same in seconds instead of minutes."""
        site = self.path / "opt/site"
        shutil.rmtree(site, ignore_errors=True)
        platforms = [f"--platform=manylinux_2_{minor}_aarch64" for minor in range(17, GLIBC + 1)]
        target = ("--python-version", PYTHON, "--implementation", "cp", "--only-binary=:all:", "--target", site)
        constraints = ("--constraint", REPOSITORY / "constraints.txt")
        _pip("install", "--no-compile", *platforms, "--platform=manylinux2014_aarch64", *target, *constraints, wheel,
             *TEST_PACKAGES, start=("-c", PIP_FOR_ARM))  # fmt: skip
        # not PYTHONPATH, which tests do not hand on to the command line
        (self.path / f"usr/local/lib/python{PYTHON}/dist-packages/wheel.pth").write_text("/opt/site\n")


def _pip(*arguments: object, start: tuple[str, str] = ("-m", "pip")) -> None:
    _run(sys.executable, *start, "--quiet", "--disable-pip-version-check", *map(str, arguments))


def _run(*command: str) -> None:
    """Its output goes to stderr, where the progress of a benchmark is; stdout is for the table."""
    subprocess.run(command, check=True, stdout=sys.stderr)
