"""One small checkpoint as our own float32 bundle, as Optimum's folder and as onnxruntime-genai's."""

from pathlib import Path

import pytest

from export.exporter import run_export
from export.options import ExportOptions
from export.plan import plan_export
from tests.foreign import traced


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return traced.checkpoint(tmp_path_factory.mktemp("foreign") / "checkpoint")


@pytest.fixture(scope="session")
def ours(llama: Path) -> Path:
    out = llama.with_name("ours")
    run_export(plan_export(llama, ExportOptions(bits=32)), out)
    return out


@pytest.fixture(scope="session")
def optimum_folder(llama: Path) -> Path:
    return traced.optimum_folder(llama, llama.with_name("optimum"))


@pytest.fixture(scope="session")
def genai_folder(llama: Path) -> Path:
    return traced.genai_folder(llama, llama.with_name("genai"))
