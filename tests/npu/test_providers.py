"""Plugins that are missing or broken are told by name, with what to type."""

from dataclasses import replace
from pathlib import Path

import pytest

from edge.errors import DeviceError
from edge.providers.listing import compute_devices
from edge.providers.plugin import PLUGINS, plugin


def test_the_cpu_is_listed_first_and_every_plugin_is_named() -> None:
    names = [one.name for one in compute_devices()]
    assert names[0] == "cpu"
    assert set(names) == {"cpu", *(one.name for one in PLUGINS)}


def test_a_provider_that_nobody_knows_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(DeviceError) as refusal:
        plugin("tpu")
    assert "qnn" in refusal.value.hint


def test_a_plugin_that_is_not_installed_says_how_to_install_it() -> None:
    missing = replace(PLUGINS[0], package="onnxruntime-of-nobody", module="onnxruntime_of_nobody")
    with pytest.raises(DeviceError) as refusal:
        missing.register()
    assert refusal.value.hint == "pip install onnxruntime-of-nobody"


def test_a_library_that_cannot_be_loaded_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "libbroken.so"
    broken.write_text("no library")
    (tmp_path / "broken_plugin.py").write_text(f"def get_library_path():\n    return {str(broken)!r}\n")
    monkeypatch.syspath_prepend(tmp_path)
    plugin = replace(PLUGINS[0], provider="BrokenProvider", package="broken-plugin", module="broken_plugin")
    with pytest.raises(DeviceError, match="broken-plugin cannot be loaded"):
        plugin.register()
