"""A decoder with an int8 KV cache: a quarter of the memory, and everything it promises with a float32 one."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge.bundle.bundle import Bundle
from edge.runtime.decoder import Decoder
from edge.runtime.memory import predict_memory
from edge.runtime.stoppable import Cancelled
from edge.runtime.tune import tune
from export.calibration import text_flow
from export.exporter import run_export
from export.options import ExportOptions
from export.plan import plan_export
from tests.multimodal_checkpoints import write_native

IDS = np.random.default_rng(0).integers(32, 126, 400)  # letters, which calibration has seen


@pytest.fixture(scope="module")
def few_sequences() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_flow, "LEARNED", 4)
        patch.setattr(text_flow, "HELD_OUT", 1)
        yield


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "fast prefill"])
def bundle(
    request: pytest.FixtureRequest,
    phi3_checkpoint: Path,
    tmp_path_factory: pytest.TempPathFactory,
    few_sequences: None,
) -> Path:
    out = tmp_path_factory.mktemp("int8") / "bundle"
    run_export(plan_export(phi3_checkpoint, ExportOptions(named="fast", kv_bits=8, fast_prefill=request.param)), out)
    return out


def decoder(bundle: Path, tokens: int = 512, long: bool = True) -> Decoder:
    made = Decoder.load(Bundle.open(bundle), threads=1)
    made.reserve(tokens, long)
    return made


def cached(one: Decoder) -> np.ndarray:
    """[buffers, kv heads, tokens, head size], what the cache holds."""
    return np.stack([buffer.numpy()[0, :, : one.length] for buffer in one.cache.buffers.values()])


def test_the_cache_takes_a_quarter_of_the_memory(bundle: Path) -> None:
    one, opened = decoder(bundle), Bundle.open(bundle)
    info = opened.manifest.decoder
    values = 2 * info.layers * info.kv_heads * info.head_size
    assert sum(buffer.numpy().nbytes for buffer in one.cache.buffers.values()) == 512 * values
    wide = dataclasses.replace(info, kv_bits=32)
    as_float = dataclasses.replace(opened, manifest=dataclasses.replace(opened.manifest, decoder=wide))
    assert predict_memory(as_float, "text", 1000).kv_cache == 4000 * values
    one_layer_in_float32_twice = 2 * 4000 * values / info.layers
    assert predict_memory(opened, "text", 1000).kv_cache == 1000 * values + int(one_layer_in_float32_twice)


@pytest.mark.parametrize("more", [1, 10, 60])
def test_rewinding_forgets_what_came_after(bundle: Path, more: int) -> None:
    one, other = decoder(bundle), decoder(bundle)
    one.prefill(IDS[:200])
    one.prefill(IDS[300 : 300 + more])
    one.rewind(200)
    other.prefill(IDS[:200])
    assert np.array_equal(one.prefill(IDS[200 : 200 + more]), other.prefill(IDS[200 : 200 + more]))


@pytest.mark.parametrize("more", [1, 60])
def test_what_is_cached_never_changes_while_more_is_read_and_the_buffers_grow(bundle: Path, more: int) -> None:
    roomy, growing = decoder(bundle), decoder(bundle, 210)
    for each in (roomy, growing):
        each.prefill(IDS[:210])
    before = cached(growing)
    growing.reserve(512, True)
    assert np.array_equal(growing.prefill(IDS[210 : 210 + more]), roomy.prefill(IDS[210 : 210 + more]))
    growing.step(5)
    assert np.array_equal(cached(growing)[:, :, :210], before)


def test_a_cancelled_prompt_leaves_what_was_there(bundle: Path) -> None:
    one, other = decoder(bundle), decoder(bundle)
    for each in (one, other):
        each.prefill(IDS[:100])
    before = cached(one)
    one.cancel()
    with pytest.raises(Cancelled):
        one.prefill(IDS[100:200])
    one.resume()
    assert one.length == 100 and np.array_equal(cached(one), before)
    assert np.array_equal(one.prefill(IDS[100:200]), other.prefill(IDS[100:200]))


def test_the_other_rotary_regime_begins_anew(bundle: Path) -> None:
    one, other = decoder(bundle, 60, long=False), decoder(bundle, 256)
    one.prefill(IDS[:50])
    one.reserve(256, True)
    assert one.length == 0
    assert np.array_equal(one.prefill(IDS[:80]), other.prefill(IDS[:80]))


def test_a_tuned_copy_computes_the_same(bundle: Path) -> None:
    plain = decoder(bundle)
    expected = [plain.prefill(IDS[:100]), plain.prefill(IDS[100:120]), plain.step(7).copy()]
    assert tune(Bundle.open(bundle), threads=1).made
    tuned = decoder(bundle)
    got = [tuned.prefill(IDS[:100]), tuned.prefill(IDS[100:120]), tuned.step(7).copy()]
    assert all(map(np.array_equal, got, expected))


def test_every_mode_has_steps_of_its_own_and_begins_with_an_empty_cache(tmp_path: Path, few_sequences: None) -> None:
    plan = plan_export(write_native(tmp_path / "native"), ExportOptions(named="fast", kv_bits=8))
    run_export(plan, tmp_path / "bundle")
    one = decoder(tmp_path / "bundle", 128, False)
    expected = one.prefill(IDS[:60])
    for mode in ("speech", "vision", "text"):
        one.select(mode)
        assert one.length == 0
        found = one.prefill(IDS[:60])
        one.step(3)
    assert np.array_equal(found, expected)
