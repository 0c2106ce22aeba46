"""What `edge devices --compute` shows."""

from dataclasses import dataclass

import onnxruntime as ort

from edge.errors import DeviceError
from edge.providers.plugin import PLUGINS


@dataclass(frozen=True, slots=True)
class Compute:
    """A provider on one device; without a device `problem` says why. `name` is what --ep takes."""

    name: str
    version: str
    device: str = ""
    vendor: str = ""
    problem: str = ""


def compute_devices() -> list[Compute]:
    """The CPU first, then every plugin, installed or not."""
    found = [Compute("cpu", ort.__version__, "CPU")]
    for plugin in PLUGINS:
        try:
            devices = plugin.register()
        except DeviceError as error:
            found.append(Compute(plugin.name, plugin.version, problem=f"{error}: {error.hint}"))
            continue
        if not devices:  # built in, and tells nothing about devices
            found.append(Compute(plugin.name, plugin.version, "built in"))
        for one in devices:
            found.append(Compute(plugin.name, plugin.version, one.device.type.name, one.device.vendor))
    return found
