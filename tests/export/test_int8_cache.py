"""`--kv-bits 8`: what the graphs write into an int8 KV cache and read from it, and what the export says of it."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from benchmarks.fidelity.predictions import judge, logprobs, windows
from edge.errors import UsageError
from edge.runtime.decoder import Decoder
from export.architectures import read_spec
from export.calibration import text_flow
from export.calibration.cache import CacheRange
from export.calibration.prompts import Prompts
from export.calibration.solved import SolvedWeights
from export.exporter import Progress, run_export
from export.graph.int8_cache import MANY
from export.options import ExportOptions
from export.plan import plan_export
from export.sources import open_checkpoint
from tests.checkpoints import random_checkpoint
from tests.export.exported import decoder, export, float_decoder

FLOAT = ExportOptions(named="fast", activation_bits=16)  # matrices read exact inputs: only the cache differs
INT8 = replace(FLOAT, kv_bits=8)
KINDS = {"llama": {}, "granite": {}, "phi3": {"original_max_position_embeddings": 512, "sliding_window": 100}}


@pytest.fixture(scope="module", autouse=True)
def few_sequences() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_flow, "LEARNED", 6)
        patch.setattr(text_flow, "HELD_OUT", 2)
        yield


@pytest.fixture(scope="module", params=KINDS)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("int8") / request.param
    made = random_checkpoint(folder, request.param, **KINDS[request.param])
    export(made, int8_bundle(made), INT8)
    export(made, float_bundle(made), FLOAT)
    return made


def int8_bundle(checkpoint: Path) -> Path:
    return checkpoint.with_name(checkpoint.name + "-int8")


def float_bundle(checkpoint: Path) -> Path:
    """The same weights with a float32 cache."""
    return checkpoint.with_name(checkpoint.name + "-float-cache")


def texts(checkpoint: Path, folder: Path) -> list[int]:
    """The tokens that the export measures with, in sequences of 512."""
    folder.mkdir()
    flow = text_flow.text_flow(Prompts(plan_export(checkpoint, INT8), folder), folder)
    return [token for span in flow.spans if span.held_out for token in span.ids]


def read(ours: Decoder, ids: np.ndarray, call: int) -> np.ndarray:
    """Logits of every token, read in calls of so many tokens."""
    ours.rewind(0)
    ours.reserve(len(ids), False)
    starts = range(0, len(ids), call)
    return np.concatenate([ours.prefill(part := ids[n : n + call], np.arange(len(part))) for n in starts])


def steps(bundle: Path, layer: int) -> np.ndarray:
    """[keys or values, kv heads, head size], as the graph has them: it divides keys and values by them."""
    graph = onnx.load(bundle / "text.onnx", load_external_data=False).graph
    into = next(one for one in graph.initializer if one.name == f"layers.{layer}.cache.into")
    info = decoder(bundle).info
    width = info.kv_heads * info.head_size
    return 1 / onnx.numpy_helper.to_array(into)[-2 * width :].reshape(2, info.kv_heads, 1, info.head_size)


@pytest.mark.parametrize("call", [MANY - 1, 200], ids=["short calls", "long calls"])
def test_keys_and_values_are_cached_in_steps_half_a_step_away_at_most(
    checkpoint: Path, call: int, tmp_path: Path
) -> None:
    """In the first layer, which reads nothing that was rounded before."""
    ids = np.array(texts(checkpoint, tmp_path / "texts")[:300])
    exact, ours = decoder(float_bundle(checkpoint)), decoder(int8_bundle(checkpoint))
    for each in (exact, ours):
        read(each, ids, call)
    for kind, step in zip(("key", "value"), steps(int8_bundle(checkpoint), 0), strict=True):
        levels = ours.cache.buffers[f"0.{kind}"].numpy()[0, :, : len(ids)].astype(np.float32)
        error = np.abs(levels * step - exact.cache.buffers[f"0.{kind}"].numpy()[0, :, : len(ids)])
        inside = np.abs(levels) < 127
        assert np.mean(inside) > 0.98  # at the last level a value may be clipped
        assert (error <= step * 0.501)[inside].all()
        assert np.abs(levels).max() > 100, "the levels are not used up"


def test_a_long_call_sees_its_own_tokens_in_float32(checkpoint: Path, tmp_path: Path) -> None:
    ids = np.array(texts(checkpoint, tmp_path / "texts")[:300])
    exact, ours = (read(decoder(one), ids, 300) for one in (float_bundle(checkpoint), int8_bundle(checkpoint)))
    assert np.abs(ours - exact).max() < 1e-4 * np.abs(exact).max()


def test_what_the_export_measures_is_what_generating_does(checkpoint: Path, tmp_path: Path) -> None:
    """Tokens that are read in short calls see the cache as generated ones do."""
    told = json.loads((int8_bundle(checkpoint) / "fidelity.json").read_bytes())
    pieces = windows(texts(checkpoint, tmp_path / "texts"))
    exact, without, cached = (
        list(logprobs(partial(read, each, call=MANY - 1), pieces))
        for each in (float_decoder(checkpoint), decoder(float_bundle(checkpoint)), decoder(int8_bundle(checkpoint)))
    )
    of = [told["modes"][mode] for mode in ("text", "text.int8-kv")]
    behind = [judge(pieces, exact, ours) for ours in (without, cached)]
    for one, measured in zip(of, behind, strict=True):
        assert one["kl"] == pytest.approx(measured.kl_divergence, rel=0.02)
        assert one["perplexity"] == pytest.approx(measured.perplexity, rel=1e-3)
    told_change, change = of[1]["perplexity"] / of[0]["perplexity"] - 1, behind[1].perplexity / behind[0].perplexity - 1
    assert told_change == pytest.approx(change, rel=0.25) and abs(change) > 1e-5


def test_steps_do_not_depend_on_the_positions_that_calibration_saw(tmp_path: Path) -> None:
    spec = read_spec(open_checkpoint(random_checkpoint(tmp_path / "checkpoint", "phi3")))
    random = np.random.default_rng(0)
    qkv = random.standard_normal((50, sum(spec.qkv_rows))).astype(np.float32)
    turned, half, queries = qkv.copy(), spec.rotary.dim // 2, spec.qkv_rows[0]
    keys = turned[:, queries : queries + spec.qkv_rows[1]].reshape(50, spec.kv_heads, spec.head_size)
    angle = random.uniform(0, 2 * np.pi, (50, 1, half))
    first, second = keys[..., :half].copy(), keys[..., half : 2 * half].copy()
    keys[..., :half] = first * np.cos(angle) - second * np.sin(angle)
    keys[..., half : 2 * half] = second * np.cos(angle) + first * np.sin(angle)
    turned[:, queries : queries + spec.qkv_rows[1]] = keys.reshape(50, -1)
    found = []
    for rows in (qkv, turned):
        learned = CacheRange.unknown(spec)
        learned.add(rows)
        found.append(learned.steps)
    assert np.allclose(found[0].key, found[1].key, rtol=1e-5) and (found[0].value == found[1].value).all()
    assert (found[0].key[:, :half] == found[0].key[:, half : 2 * half]).all()


def test_weights_are_the_same_bytes_with_and_without(checkpoint: Path) -> None:
    plain, int8 = (bundle(checkpoint) / "weights.bin" for bundle in (float_bundle, int8_bundle))
    assert plain.read_bytes() == int8.read_bytes()


@pytest.mark.parametrize("last", ["calibrated layers.1.gate_up", "measured layers.1.gate_up"])
def test_a_killed_export_ends_with_the_same_graph_and_report(
    last: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = random_checkpoint(tmp_path / "checkpoint", "llama")
    plan = plan_export(checkpoint, INT8)
    run_export(plan, tmp_path / "whole")

    def interrupted(progress: Progress) -> None:
        if progress.name == last:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_export(plan, tmp_path / "bundle", interrupted)
    if last.startswith("measured"):
        monkeypatch.setattr(SolvedWeights, "save", lambda self, name, *_: pytest.fail(f"{name} is calibrated again"))
    run_export(plan, tmp_path / "bundle")
    for name in ("text.onnx", "fidelity.json", "weights.bin"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "bundle" / name).read_bytes(), name


def test_other_bits_are_refused_in_one_sentence() -> None:
    with pytest.raises(UsageError, match="a KV cache of 4 bits is not available"):
        replace(INT8, kv_bits=4).recipe()


def test_without_a_recipe_there_is_nothing_to_learn_steps_with() -> None:
    with pytest.raises(UsageError, match="an int8 KV cache is calibrated, which a recipe does"):
        ExportOptions(kv_bits=8).recipe()
