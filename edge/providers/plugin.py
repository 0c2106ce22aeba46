"""Plugin execution providers: Python packages that hold a library for onnxruntime to load."""

from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import onnxruntime as ort

from edge.errors import DeviceError


@dataclass(frozen=True, slots=True)
class Plugin:
    """`name` is what users type, `provider` what onnxruntime calls it, `package` what pip installs."""

    name: str
    provider: str
    package: str
    module: str
    options: dict[str, str] = field(default_factory=dict)

    @property
    def installed(self) -> bool:
        return find_spec(self.module) is not None

    @property
    def version(self) -> str:
        try:
            return version(self.package)
        except PackageNotFoundError:
            return ""

    def register(self) -> list[ort.OrtEpDevice]:
        """Its devices on this machine. Raises DeviceError: not installed, cannot be loaded, or no device.

        Loading runs native code of the vendor, which may crash: where that must not end the program, do it in a
        child process.
        """
        if not self.installed:
            raise DeviceError(f"{self.package} is not installed", f"pip install {self.package}")
        if not self._devices():
            try:
                library = import_module(self.module).get_library_path()
                ort.register_execution_provider_library(self.provider, library)
            except Exception as error:  # onnxruntime and the vendors' modules raise classes of their own
                raise DeviceError(
                    f"{self.package} cannot be loaded: {str(error).splitlines()[0][:200]}",
                    f"pip install -U {self.package}",
                ) from None
        if not (devices := self._devices()):
            raise DeviceError(f"{self.package} finds no device of its own here", "see its vendor's list of devices")
        return devices

    def _devices(self) -> list[ort.OrtEpDevice]:
        return [device for device in ort.get_ep_devices() if device.ep_name == self.provider]


PLUGINS = (
    # without an architecture of its own the compiler refuses float operators; 73 is the oldest that has them all
    Plugin("qnn", "QNNExecutionProvider", "onnxruntime-qnn", "onnxruntime_qnn", {"htp_arch": "73", "soc_model": "60"}),
    Plugin("openvino", "OpenVINOExecutionProvider", "onnxruntime-ep-openvino", "onnxruntime_ep_openvino"),
    Plugin("webgpu", "WebGpuExecutionProvider", "onnxruntime-ep-webgpu", "onnxruntime_ep_webgpu"),
)


def plugin(name: str) -> Plugin:
    """By the name that users type. Raises DeviceError."""
    for one in PLUGINS:
        if one.name == name:
            return one
    known = ", ".join(one.name for one in PLUGINS)
    raise DeviceError(f"there is no execution provider {name!r}", f"choose cpu, {known}; see  edge devices --compute")
