"""One small random checkpoint in both layouts, its float32 bundle and its reference, for the whole folder."""

from pathlib import Path

import pytest

import edge
from export.exporter import run_export
from export.options import ExportOptions
from export.plan import plan_export
from tests.multimodal.reference import Reference
from tests.multimodal.turns import RecordedConversation
from tests.multimodal_checkpoints import convert_to_original, write_native

LONGEST = 16_384
"""Holds the 9,585 tokens of 36 crops."""


@pytest.fixture(scope="session")
def native(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_native(tmp_path_factory.mktemp("multimodal") / "native", max_context=LONGEST)


@pytest.fixture(scope="session")
def original(native: Path) -> Path:
    return convert_to_original(native, native.with_name("original"))


@pytest.fixture(scope="session")
def bundle(native: Path) -> Path:
    run_export(plan_export(native, ExportOptions(bits=32)), native.with_name("float"))
    return native.with_name("float")


@pytest.fixture(scope="session")
def reference(native: Path) -> Reference:
    return Reference(native)


@pytest.fixture(scope="session")
def model(bundle: Path) -> edge.Model:
    """Shared: its KV cache and its encoders' results outlive a test, as they do between conversations."""
    return edge.load(bundle, threads=1)


@pytest.fixture
def conversation(model: edge.Model) -> RecordedConversation:
    return RecordedConversation(model)
