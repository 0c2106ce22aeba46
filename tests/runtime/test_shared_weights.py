"""A tuned copy keeps an array once, however many graphs use it, and computes what it computed before."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from edge.bundle.bundle import Bundle
from edge.runtime.decoder import Decoder
from edge.runtime.tune import WEIGHTS, tune
from export.exporter import run_export
from export.options import ExportOptions
from export.plan import plan_export
from tests.multimodal_checkpoints import write_native

IDS = [5, 6, 7, 300, 301]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    root = tmp_path_factory.mktemp("shared")
    run_export(plan_export(write_native(root / "native"), ExportOptions()), root / "bundle")
    return Bundle.open(root / "bundle")


def places(graph: Path) -> dict[str, set[tuple[int, int]]]:
    """Byte ranges of every initializer, those of its packed buffers too."""
    found = {}
    for tensor in onnx.load(graph, load_external_data=False).graph.initializer:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        if not entries:
            continue
        assert entries["location"] == WEIGHTS
        ranges = {(int(entries["offset"]), int(entries["length"]))}
        for key, value in entries.items():
            if key.startswith("prepacked"):
                ranges |= {tuple(map(int, blob.split(";")[:2])) for blob in value.split("|")[1:]}  # type: ignore[misc]
        found[tensor.name] = ranges
    return found


def test_decoders_of_all_modes_take_the_base_model_from_the_same_bytes(bundle: Bundle) -> None:
    made = tune(bundle).path
    text, speech = places(made / "text.onnx"), places(made / "speech.onnx")
    shared = [name for name in text if name.startswith("layers.") and name.endswith(".values")]
    assert len(shared) == 12
    for name in shared:
        assert text[name] == speech[name], name
    sizes = {place for graph in made.glob("*.onnx") for ranges in places(graph).values() for place in ranges}
    padding = 4096 * (len(sizes) + 1)
    assert (made / WEIGHTS).stat().st_size <= sum(length for _, length in sizes) + padding


@pytest.mark.parametrize("graph", ["text", "speech", "vision"])
def test_every_mode_computes_the_same_from_the_tuned_copy(bundle: Bundle, graph: str) -> None:
    def logits() -> np.ndarray:
        decoder = Decoder.load(bundle, 1, graph)
        decoder.reserve(len(IDS))
        media = np.full((2, bundle.manifest.decoder.hidden_size), 0.1, np.float32)
        rows = np.array([1, 2])
        return decoder.prefill(IDS) if graph == "text" else decoder.prefill(IDS, None, media, rows)

    before = logits()
    tune(bundle)
    assert np.array_equal(logits(), before)
