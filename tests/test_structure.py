"""Promises about the tree itself: sizes, layers, what is in the wheel."""

import ast
import statistics
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("edge", "export", "quant")
NOT_ON_A_DEVICE = {"torch", "transformers", "onnx", "optimum", "gguf", "export", "quant", "benchmarks"}


def sources(*packages: str) -> list[Path]:
    return [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    """Top-level names of all modules a file imports, wherever in the file."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_no_file_is_longer_than_400_lines_and_the_median_is_below_150() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in sources(*PACKAGES, "benchmarks", "tests")}
    assert {str(path): length for path, length in lengths.items() if length > 400} == {}
    assert statistics.median(length for length in lengths.values() if length) < 150


def test_a_device_needs_neither_torch_nor_onnx_nor_the_exporter() -> None:
    found = {str(path): imported(path) & NOT_ON_A_DEVICE for path in sources("edge")}
    assert {path: names for path, names in found.items() if names} == {}


def test_quant_knows_no_models_and_export_no_devices() -> None:
    for path in sources("quant"):
        assert not imported(path) & {"edge", "export", "onnx", "torch"}, path
    for path in sources("export"):
        assert not imported(path) & {"torch", "transformers", "sounddevice", "cv2"}, path


def test_only_pull_may_speak_with_other_machines() -> None:
    """Beside it there are requests to this machine itself, and a URL that is taken apart before OpenCV opens it."""
    network = {"socket", "urllib", "http", "requests", "httpx", "huggingface_hub", "ssl"}
    names = ("edge/hub.py", "edge/download.py", "edge/live/loopback.py", "edge/devices/camera_source.py")
    allowed = {ROOT / name for name in names}
    found = {str(path): imported(path) & network for path in sources(*PACKAGES) if path not in allowed}
    assert {path: names for path, names in found.items() if names} == {}


def test_the_wheel_holds_the_three_packages_only() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["setuptools"]["packages"]["find"]["include"] == [f"{name}*" for name in PACKAGES]
    needed = {one.split(">")[0] for one in project["project"]["dependencies"]}
    assert not needed & {"torch", "torchvision", "torchaudio", "transformers"}
