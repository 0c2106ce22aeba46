"""A bundle says how much memory it will take before it takes any."""

import dataclasses
from pathlib import Path

import pytest

from edge.bundle.bundle import Bundle
from edge.errors import ResourceError
from edge.runtime.memory import predict_memory, require_memory
from edge.system_memory import available_memory
from export.exporter import run_export
from export.options import ExportOptions
from export.plan import plan_export
from tests.multimodal_checkpoints import write_native

MODES = ("text", "speech", "vision", "vision_speech")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    root = tmp_path_factory.mktemp("memory")
    options = ExportOptions(fast_prefill=True)
    run_export(plan_export(write_native(root / "native"), options), root / "mini-multimodal")
    return Bundle.open(root / "mini-multimodal")


def group_bytes(bundle: Bundle, *names: str) -> int:
    found = {group.name for group in bundle.manifest.quantisation}
    assert found >= set(names)
    return sum(group.bytes for group in bundle.manifest.quantisation if group.name in names)


def test_a_mode_needs_its_own_adapter_and_encoders_beside_the_base_model(bundle: Bundle) -> None:
    need = {mode: predict_memory(bundle, mode, 1000) for mode in MODES}
    base = group_bytes(bundle, "attention", "mlp", "embedding", "norms", "prefill")
    assert need["text"].weights >= base
    assert need["text"].encoders == 0
    for adapter in ("speech", "vision"):
        lora = group_bytes(bundle, f"{adapter} LoRA", f"{adapter} LoRA prefill")
        assert need[adapter].weights - need["text"].weights >= lora
        assert need[adapter].encoders >= group_bytes(bundle, adapter)
    both = need["speech"].encoders + need["vision"].encoders
    assert need["vision_speech"].encoders == both
    assert need["vision_speech"].weights == need["vision"].weights


def test_the_kv_cache_is_float32_keys_and_values_of_every_layer(bundle: Bundle) -> None:
    info = bundle.manifest.decoder
    per_token = 2 * info.layers * info.kv_heads * info.head_size * 4
    assert predict_memory(bundle, "text", 1000).kv_cache == 1000 * per_token


def test_an_encoder_needs_memory_for_its_own_sizes_and_not_for_those_of_the_released_model(bundle: Bundle) -> None:
    """A quarter of the patches is a quarter of the intermediate results."""
    vision = bundle.manifest.vision
    assert vision
    wide = dataclasses.replace(vision, width=1152)
    need = {}
    for patch_size in (14, 28):
        changed = dataclasses.replace(bundle.manifest, vision=dataclasses.replace(wide, patch_size=patch_size))
        need[patch_size] = predict_memory(dataclasses.replace(bundle, manifest=changed), "vision", 1000).activations
    assert need[28] == pytest.approx(need[14] / 4, rel=1e-6)
    assert predict_memory(bundle, "vision", 1000).activations < need[28] / 4


def test_a_bundle_that_does_not_fit_is_refused_with_the_numbers(bundle: Bundle) -> None:
    need = predict_memory(bundle, "vision", 1000).total
    require_memory(bundle, "vision", 1000, free=need)
    with pytest.raises(
        ResourceError, match=r"mini-multimodal needs about 0\.\d GB for vision \(.*\), 0\.1 GB are free"
    ):
        require_memory(bundle, "vision", 1000, free=100_000_000)


def test_free_memory_is_what_the_system_says_at_most() -> None:
    free = available_memory()
    total = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    assert free is not None and 0 < free < int(total.split()[1]) * 1024
