"""ARM machines as QEMU emulates them, and what their /proc and /sys say, which the emulator leaves to the host."""

import os
from dataclasses import dataclass
from pathlib import Path

BASE = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
DOTPROD = f"{BASE} atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp"


@dataclass(frozen=True, slots=True)
class Machine:
    """`cpu` is QEMU's name of it, `part` that of /proc/cpuinfo; `like` is where one meets it."""

    cpu: str
    part: str
    features: str
    like: str

    def describe(self, folder: Path) -> tuple[Path, Path]:
        """Writes (cpuinfo, cpu): a file for /proc/cpuinfo and a folder for /sys/devices/system/cpu.

        onnxruntime reads both to find out about dot products; the host's own would be those of another architecture.
        """
        fields = {
            "BogoMIPS": "108.00",
            "Features": self.features,
            "CPU implementer": "0x41",
            "CPU architecture": "8",
            "CPU variant": "0x1",
            "CPU part": self.part,
            "CPU revision": "1",
        }
        cores = os.cpu_count() or 1
        lines = "".join(f"{name}\t: {value}\n" for name, value in fields.items())
        info, system = folder / self.cpu / "cpuinfo", folder / self.cpu / "cpu"
        system.mkdir(parents=True, exist_ok=True)
        info.write_text("".join(f"processor\t: {core}\n{lines}\n" for core in range(cores)))
        for name in ("possible", "present", "online"):
            (system / name).write_text(f"0-{cores - 1}\n" if cores > 1 else "0\n")
        return info, system


MACHINES = (
    Machine("cortex-a72", "0xd08", BASE, "no dot product, as in a Raspberry Pi 4"),
    Machine("cortex-a76", "0xd0b", DOTPROD, "dot product, as in a Raspberry Pi 5"),
    Machine("max", "0xd4f", f"{DOTPROD} i8mm bf16", "int8 matrix products, as in current phones and servers"),
)
