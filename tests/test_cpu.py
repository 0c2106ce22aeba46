"""A CPU that the native libraries would crash on is refused in a sentence, before they are loaded."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge.cpu import cpu_flags, require_cpu
from edge.errors import ResourceError
from tests.cli.child import ROOT, assert_refused, edge

CORE_2 = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 ss syscall nx lm constant_tsc pni ssse3 cx16 lahf_lm"  # noqa: E501
NEHALEM = f"{CORE_2} sse4_1 sse4_2 popcnt"
CORTEX_A72 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
BOUND = 'mount --bind "$1" /proc/cpuinfo && shift && exec "$@"'
QEMU = "qemu-x86_64-static"


def cpuinfo(folder: Path, flags: str, field: str = "flags") -> Path:
    file = folder / "cpuinfo"
    file.write_text(
        f"processor\t: 0\nmodel name\t: some CPU\n{field}\t\t: {flags}\n\nprocessor\t: 1\n{field}\t: other\n"
    )
    return file


def seen_as(file: Path) -> list[str]:
    """A command that starts another one, which reads `file` as /proc/cpuinfo. Skips where that is not allowed."""
    prefix = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", BOUND, "sh", str(file)]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("this system does not let a user mount files in a namespace of his own")
    return prefix


def test_a_cpu_without_sse4_is_refused_by_the_names_of_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"sse4_1, sse4_2, popcnt, .* numpy and onnxruntime") as caught:
        require_cpu(cpuinfo(tmp_path, CORE_2), "x86_64")
    assert caught.value.exit_code == 6
    assert "CPU" in caught.value.hint


def test_cpus_without_avx_or_dot_products_are_only_slower(tmp_path: Path) -> None:
    require_cpu(cpuinfo(tmp_path, NEHALEM), "x86_64")
    require_cpu(cpuinfo(tmp_path, CORTEX_A72, "Features"), "aarch64")


def test_an_arm_cpu_without_neon_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="lacks asimd"):
        require_cpu(cpuinfo(tmp_path, "fp cpuid", "Features"), "aarch64")


def test_nothing_is_refused_where_the_system_does_not_tell(tmp_path: Path) -> None:
    assert cpu_flags(tmp_path / "missing") == frozenset()
    require_cpu(tmp_path / "missing", "x86_64")
    require_cpu(cpuinfo(tmp_path, "fp"), "riscv64")


def test_the_first_core_speaks_for_all_of_them(tmp_path: Path) -> None:
    assert cpu_flags(cpuinfo(tmp_path, "sse2 avx")) == {"sse2", "avx"}


def test_the_question_is_asked_without_any_native_library() -> None:
    code = (
        "import sys, edge.cpu; edge.cpu.require_cpu(); print(*{'numpy', 'onnxruntime', 'tokenizers'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_command_line_ends_with_exit_code_6_and_still_tells_its_version(tmp_path: Path) -> None:
    if os.uname().machine != "x86_64":
        pytest.skip(f"the flags are those of x86_64, this is {os.uname().machine}")
    prefix = seen_as(cpuinfo(tmp_path, CORE_2))
    assert_refused(edge("run", "hello", prefix=prefix), 6, "sse4_2")
    assert_refused(edge("doctor", prefix=prefix), 6, "sse4_2")
    assert edge("--version", prefix=prefix).code == 0


def test_python_gets_the_error_instead_of_a_crash(tmp_path: Path) -> None:
    if os.uname().machine != "x86_64":
        pytest.skip(f"the flags are those of x86_64, this is {os.uname().machine}")
    code = "import edge\ntry:\n    edge.load()\nexcept edge.EdgeError as error:\n    print(error.exit_code)"
    command = [*seen_as(cpuinfo(tmp_path, CORE_2)), sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "6"


def test_on_an_emulated_core_2_numpy_crashes_and_edge_does_not(tmp_path: Path) -> None:
    if shutil.which(QEMU) is None:
        pytest.skip(f"{QEMU} is not installed here (apt install qemu-user-static)")
    emulated = [QEMU, "-cpu", "Conroe"]
    native = subprocess.run(
        [*emulated, sys.executable, "-c", "import numpy"], cwd=tmp_path, check=False, capture_output=True
    )
    assert native.returncode != 0, "numpy's wheel has become less demanding, and so may edge.cpu.NEEDED"
    assert_refused(edge("run", "hello", prefix=[*seen_as(cpuinfo(tmp_path, CORE_2)), *emulated]), 6, "sse4_2")
