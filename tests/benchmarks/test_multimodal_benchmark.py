"""The parts of the full-geometry benchmark that are quick: names, shapes, plan, synthetic media, tables."""

import copy
import json
import warnings
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.multimodal.cases import ALONE, CASES
from benchmarks.multimodal.geometry import MultimodalGeometry
from benchmarks.multimodal.report import markdown, write
from benchmarks.multimodal.speech_geometry import SpeechGeometry
from benchmarks.multimodal.summary import promises
from benchmarks.multimodal.synthetic_media import picture, recording, words
from benchmarks.multimodal.vision_geometry import VisionGeometry
from benchmarks.peers.geometry import Geometry
from benchmarks.peers.random_checkpoint import write_checkpoint, write_weights
from export.options import ExportOptions
from export.plan import ExportPlan, plan_export
from tests.benchmarks.a_machine import MACHINE
from tests.multimodal_original import original_name
from tests.reference_import import import_transformers

PARAMETERS = 3_836_021_760 + 369_098_752 + 461_373_440 + 428_575_952 + 12_982_656 + 466_407_824
"""Decoder, vision LoRA, speech LoRA, SigLIP, its projector with the separators, speech encoder with its projectors."""

TOWER = "model.embed_tokens_extend.image_embed.img_processor."
DEAD = (TOWER + "encoder.layers.26.", TOWER + "post_layernorm.", TOWER + "head.")

SMALL = MultimodalGeometry(
    Geometry(layers=1, hidden=64, intermediate=96, heads=4, kv_heads=2, vocab=320, long_factor=[1.0] * 6),
    SpeechGeometry(hidden=32, intermediate=48, blocks=1, heads=2, channels=16),
    VisionGeometry(hidden=32, intermediate=48, layers=2),
    speech_rank=5,
    vision_rank=3,
)


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> ExportPlan:
    """The export of a checkpoint of the full geometry whose values are holes in its files."""
    directory = tmp_path_factory.mktemp("full") / "checkpoint"
    write_checkpoint(directory, MultimodalGeometry(), sparse=True)
    return plan_export(directory, ExportOptions(max_ram=2 * 10**9, fast_prefill=True))


def test_default_geometry_has_the_parameters_of_phi_4_multimodal() -> None:
    assert sum(prod(shape) for shape in MultimodalGeometry().tensors().values()) == PARAMETERS


def test_names_and_shapes_are_those_of_transformers_model_under_their_original_names() -> None:
    torch = pytest.importorskip("torch", reason="transformers' model needs torch")
    module = import_transformers()
    text = Geometry(layers=2)
    sizes = {"num_hidden_layers": 2, "num_attention_heads": text.heads, "tie_word_embeddings": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = module.Phi4MultimodalConfig(audio_config={"bias_max_distance": 500}, **sizes)
        with torch.device("meta"):
            model = module.Phi4MultimodalForCausalLM(copy.deepcopy(config))
    expected = {}
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight":
            continue
        has_lora = name.startswith("model.layers.") and "norm" not in name
        expected[original_name(name, has_lora)] = tuple(tensor.shape)
        for adapter, rank in {"speech": 320, "vision": 256}.items() if has_lora else ():
            rows, columns = tensor.shape
            expected[name.replace(".weight", f".lora_A.{adapter}.weight")] = (rank, columns)
            expected[name.replace(".weight", f".lora_B.{adapter}.weight")] = (rows, rank)
    assert replace(MultimodalGeometry(), text=text).tensors() == expected


def test_full_geometry_is_planned_under_two_gigabytes_and_uses_all_but_the_dead_vision_layers(
    planned: ExportPlan,
) -> None:
    used = {part.tensor for weight in planned.weights for part in weight.source.parts}
    assert used | set(planned.unused) == set(planned.checkpoint.tensors)
    assert len(planned.unused) == 16 + 2 + 11  # a layer, a norm, the pooling head
    assert all(name.startswith(DEAD) for name in planned.unused)
    assert not any(name.startswith(DEAD) for name in used)
    assert planned.peak_ram < 2 * 10**9


def test_at_full_geometry_all_modes_are_measured_under_three_gigabytes_and_only_text_under_two(
    planned: ExportPlan,
) -> None:
    speech = sum(4 * prod(shape) for shape in SpeechGeometry().tensors(3072).values())
    assert max(speech, 2 * 10**9) < planned.media_ram < 3 * 10**9


def test_full_geometry_reads_as_the_released_model(planned: ExportPlan) -> None:
    media = planned.media
    assert media is not None
    assert {one.name: (one.rank, one.scale) for one in media.adapters} == {"speech": (320, 2.0), "vision": (256, 2.0)}
    vision, speech = media.vision, media.speech
    assert (vision.hidden, vision.intermediate, vision.heads, vision.layers) == (1152, 4304, 16, 26)
    assert (speech.dim, speech.heads, speech.blocks, speech.ffn_size, speech.conv_channels) == (
        1024,
        16,
        24,
        1536,
        1024,
    )
    assert (planned.spec.layers, planned.spec.hidden_size, planned.spec.heads) == (32, 3072, 24)


def test_a_sparse_checkpoint_has_the_header_and_size_of_a_real_one(tmp_path: Path) -> None:
    for name, sparse in (("real", False), ("sparse", True)):
        (tmp_path / name).mkdir()
        write_weights(tmp_path / name, SMALL, seed=0, sparse=sparse)
    (real,), (hollow,) = ((tmp_path / name).glob("*.safetensors") for name in ("real", "sparse"))
    assert real.stat().st_size == hollow.stat().st_size
    data, empty = real.read_bytes(), hollow.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    assert data[:start] == empty[:start]
    assert any(data[start:]) and not any(empty[start:])


def test_only_norm_weights_are_one_so_that_biases_do_not_drown_what_they_are_added_to(tmp_path: Path) -> None:
    load_file = pytest.importorskip("safetensors.torch", reason="numpy has no bf16").load_file
    write_weights(tmp_path, SMALL, seed=0)
    tensors = load_file(next(tmp_path.glob("*.safetensors")))
    ones = {name for name, tensor in tensors.items() if (tensor.float() == 1).all()}
    assert ones == {name for name in tensors if "norm" in name and name.endswith(".weight")}
    assert all(0.005 < tensor.float().std() < 0.05 for name, tensor in tensors.items() if name not in ones)


def test_media_have_the_asked_size_and_depend_on_the_seed_only() -> None:
    clip, image = recording(1.5, 16_000, 1), picture(100, 1)
    assert clip.shape == (24_000,) and clip.dtype == np.float32 and 0.1 < np.abs(clip).max() <= 1
    assert image.shape == (100, 100, 3) and image.dtype == np.uint8 and image.std() > 20
    for make, first in ((lambda seed: recording(1.5, 16_000, seed), clip), (lambda seed: picture(100, seed), image)):
        assert np.array_equal(make(1), first)
        assert not np.array_equal(make(2), first)


def test_words_are_cut_where_they_reach_the_asked_number_of_tokens() -> None:
    def count(text: str) -> int:
        return 5 + len(text.split())

    text = words(count, 40, 1)
    assert count(text) == 40 and count(text[:-1]) == 39


def sample(
    bundle: str, case: str, number: int, decode: float, rss: float, factor: float | None = None
) -> dict[str, Any]:
    turn = {
        "mode": "text" if case.startswith("text") else "speech",
        "usage": {"prompt_tokens": 256},
        "total_s": 9.0,
        "ttft_s": 2.0,
        "encode_s": 1.0,
        "prefill_tokens_per_s": 100.0,
        "decode_tokens_per_s": decode,
        "realtime_factor": factor,
    }
    return {
        "engine": bundle,
        "case": case,
        "round": number,
        "load_s": 1.0,
        "first": [turn | {"ttft_s": 4.0}],
        "again": turn,
        "memory": {"peak_rss_bytes": rss},
        "busy_share_before": 0.01,
        "versions": {"onnxruntime": "1"},
    }


@pytest.fixture
def report() -> dict[str, Any]:
    samples = [sample("int4-tuned", case, 1, 20.0, 3e9) for case in ALONE]
    samples += [
        sample("int4-tuned", "speech-30", 1, 18.0, 3e9, 0.4),
        sample("int4-tuned", "speech-30", 2, 15.0, 3e9, 0.6),
        sample("int4-tuned", "speech-30", 3, 15.0, 3e9, 0.45),
        sample("int4-tuned", "all-modes", 1, 20.0, 3.6e9),
        sample("phi4-mini", "text-256", 1, 20.5, 2e9),
        {"engine": "int4-tuned", "case": "picture-1344", "round": 1, "error": "killed by signal 9"},
    ]
    return {
        "schema": 1,
        "created": "2026-01-01T00:00:00+00:00",
        "command": "python -m benchmarks.multimodal --work out",
        "commit": "abc",
        "machine": MACHINE,
        "settings": {"layers": 32, "rounds": 3, "threads": 2, "decode_tokens": 100, "idle_s": 0},
        "bundles": {"int4-tuned": "int4, tuned", "phi4-mini": "Phi-4-mini's bundle"},
        "exports": {"int4": {"seconds": 60.0, "peak_rss_bytes": 5e8, "disk_bytes": 3.5e9, "error": ""}},
        "tune_s": {"int4-tuned": 12.3},
        "samples": samples,
    }


def test_promises_are_computed_from_medians_and_say_whether_they_are_kept(report: dict[str, Any]) -> None:
    found = {one.title: one for one in promises(report["samples"], list(report["bundles"]))}
    speech = found["int4-tuned: 30 s of speech, time ÷ duration"]
    assert (speech.value.low, speech.value.median, speech.value.high) == (0.4, 0.45, 0.6) and speech.kept
    mini = found["int4-tuned: decode after text-256 ÷ Phi-4-mini's"]
    assert mini.value.median == pytest.approx(20 / 20.5) and mini.kept
    slow = found["int4-tuned: decode after speech-30 ÷ after text-256"]
    assert slow.value.median == pytest.approx(0.75) and not slow.kept
    memory = found["int4-tuned: peak RSS of all modes ÷ of the largest alone"]
    assert memory.value.median == pytest.approx(1.2) and not memory.kept


def test_tables_show_every_measured_case_and_every_failure(report: dict[str, Any]) -> None:
    text = markdown(report)
    for case in CASES:
        measured = any(one["case"] == case.name and "error" not in one for one in report["samples"])
        assert (f"| {case.title} | int4-tuned | 256 |" in text) == measured
    assert "| 30 s of speech | int4-tuned | 256 | 1.00 | 1.00 | 100 | 2.00 | 4.00 | 15.0 (15.0–18.0) | " in text
    assert "failed: int4-tuned, picture-1344: killed by signal 9" in text
    assert "| int4 | 3.500 | 0.500 | 60.0 |" in text


def test_written_json_holds_the_samples_and_makes_the_same_tables_again(report: dict[str, Any], tmp_path: Path) -> None:
    write(report, tmp_path / "first")
    again = json.loads((tmp_path / "first" / "report.json").read_text())
    assert again["samples"] == report["samples"]
    write(again, tmp_path / "second")
    for name in ("report.json", "report.md"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
