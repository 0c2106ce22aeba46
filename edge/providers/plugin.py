"""Execution providers beside the CPU's: packages with a library for onnxruntime, or builds that have one inside."""

import hashlib
import platform
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import onnxruntime as ort

from edge.errors import DeviceError


@dataclass(frozen=True, slots=True)
class Plugin:
    """`name` is what users type, `provider` what onnxruntime calls it, `package` what pip installs.

    `module` holds the library to load; without one the provider must be built into onnxruntime, as `package` has it.
    """

    name: str
    provider: str
    package: str
    module: str = ""
    options: dict[str, str] = field(default_factory=dict)
    backend: str = ""
    """Of plugins with several engines: the function of the module that says which library is the wanted one."""
    contexts: bool = False
    """Whether what it has compiled can be saved."""

    @property
    def installed(self) -> bool:
        return find_spec(self.module) is not None if self.module else self.provider in ort.get_available_providers()

    @property
    def version(self) -> str:
        try:
            return (version(self.package) if self.module else ort.__version__) if self.installed else ""
        except PackageNotFoundError:
            return ""

    @property
    def all_options(self) -> dict[str, str]:
        if not self.backend:
            return dict(self.options)
        return {**self.options, "backend_path": getattr(import_module(self.module), self.backend)()}

    def register(self) -> list[ort.OrtEpDevice]:
        """Its devices on this machine; built-in providers tell none. Raises DeviceError: not installed, cannot be
        loaded, or no device.

        Loading runs native code of the vendor, which may crash: where that must not end the program, do it in a
        child process.
        """
        if not self.installed and not self.module:
            raise DeviceError(f"this onnxruntime has no {self.provider}", f"it is part of {self.package}")
        if not self.module:
            return []
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

    def open(self, graph: Path, options: ort.SessionOptions) -> ort.InferenceSession:
        """A session on its first device. Raises DeviceError, or whatever onnxruntime raises."""
        if devices := self.register():
            options.add_provider_for_devices(devices[:1], self.all_options)
            return ort.InferenceSession(graph, options)
        return ort.InferenceSession(graph, options, providers=[(self.provider, self.all_options)])

    @property
    def identity(self) -> str:
        """Changes with anything that may change what it computes: versions, options, its files, the system's drivers.

        No code of the vendor is loaded for that.
        """
        found = find_spec(self.module) if self.module else None
        files = sorted(Path(found.origin).parent.rglob("*.so*")) if found and found.origin else []
        sizes = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        told = repr((self.name, self.version, ort.__version__, sorted(self.options.items()), sizes, platform.release()))
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    def _devices(self) -> list[ort.OrtEpDevice]:
        return [device for device in ort.get_ep_devices() if device.ep_name == self.provider]


PLUGINS = (
    Plugin(
        "qnn",
        "QNNExecutionProvider",
        "onnxruntime-qnn",
        "onnxruntime_qnn",
        # without an architecture of its own the compiler refuses float operators; 73 is the oldest that has them all
        {"htp_arch": "73", "soc_model": "60"},
        "get_qnn_htp_path",
        contexts=True,
    ),
    # answers must not depend on what the device likes best: some round to bfloat16 by themselves
    Plugin(
        "openvino",
        "OpenVINOExecutionProvider",
        "onnxruntime-ep-openvino",
        "onnxruntime_ep_openvino",
        {"load_config": '{"CPU": {"INFERENCE_PRECISION_HINT": "f32"}}'},
    ),
    Plugin("webgpu", "WebGpuExecutionProvider", "onnxruntime-ep-webgpu", "onnxruntime_ep_webgpu"),
    Plugin("openvino-legacy", "OpenVINOExecutionProvider", "onnxruntime-openvino", options={"precision": "ACCURACY"}),
    Plugin("coreml", "CoreMLExecutionProvider", "onnxruntime for macOS", options={"ModelFormat": "MLProgram"}),
    Plugin("vitisai", "VitisAIExecutionProvider", "onnxruntime-vitisai", contexts=True),
)


def plugin(name: str) -> Plugin:
    """By the name that users type. Raises DeviceError."""
    for one in PLUGINS:
        if one.name == name:
            return one
    known = ", ".join(one.name for one in PLUGINS)
    raise DeviceError(f"there is no execution provider {name!r}", f"choose cpu, {known}; see  edge devices --compute")
