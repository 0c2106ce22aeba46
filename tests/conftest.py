"""Fixtures that several test files share: a tiny checkpoint, its bundle, and a home of its own for every test."""

from pathlib import Path

import pytest

from export.exporter import run_export
from export.options import ExportOptions
from export.plan import plan_export
from tests.checkpoints import random_checkpoint
from tests.reference_import import declare_torchvision_operators

declare_torchvision_operators()  # before any test imports transformers


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or writes the user's bundles, caches or settings."""
    home = tmp_path / "edge-home"
    monkeypatch.setenv("EDGE_HOME", str(home))
    for name in ("EDGE_BUNDLE", "EDGE_DEBUG", "EDGE_THREADS", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture(scope="session")
def phi3_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Phi-4-mini in miniature: fused matrices, partial rotary, LongRoPE from 64 tokens on, tied embedding."""
    return random_checkpoint(tmp_path_factory.mktemp("checkpoints") / "mini-phi", "phi3")


@pytest.fixture(scope="session")
def phi3_bundle(phi3_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The miniature as an int4 bundle with block 128. Tests must not change it."""
    out = tmp_path_factory.mktemp("bundles") / "mini-phi-int4"
    run_export(plan_export(phi3_checkpoint, ExportOptions()), out)
    return out


@pytest.fixture(scope="session")
def phi3_float_bundle(phi3_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The miniature unquantised. Tests must not change it."""
    out = tmp_path_factory.mktemp("bundles") / "mini-phi-float"
    run_export(plan_export(phi3_checkpoint, ExportOptions(bits=32)), out)
    return out
