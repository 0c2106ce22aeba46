"""The parts of the side-by-side benchmark that need no peer: checkpoint, statistics, table and plot."""

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import typer

from benchmarks.peers import random_checkpoint
from benchmarks.peers.__main__ import parse_lengths
from benchmarks.peers.child import run_child
from benchmarks.peers.geometry import Geometry
from benchmarks.peers.measure import prompts
from benchmarks.peers.plot import nice_step
from benchmarks.peers.random_checkpoint import split_shards, to_bf16, write_weights
from benchmarks.peers.report import markdown, write
from benchmarks.peers.summary import Spread, summarise
from benchmarks.peers.synthetic_tokenizer import SPECIAL, write_tokenizer
from tests.benchmarks.a_machine import MACHINE

SVG = "{http://www.w3.org/2000/svg}"
TINY = Geometry(
    layers=1,
    hidden=64,
    intermediate=96,
    heads=4,
    kv_heads=2,
    vocab=320,
    end_of_text=300,
    end_of_turn=301,
    long_factor=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(TINY.config()))
    (tmp_path / "generation_config.json").write_text(json.dumps(TINY.generation_config()))
    write_weights(tmp_path, TINY, seed=1, max_bytes=40_000)
    return tmp_path


def sample(engine: str, number: int, decode: float, rss: float) -> dict[str, object]:
    one = {"prompt_tokens": 16, "ttft_s": 0.5, "prefill_tokens_per_s": 32.0, "decode_tokens_per_s": decode}
    return {
        "engine": engine,
        "round": number,
        "load_s": 1.0,
        "load_to_first_token_s": 2.0,
        "prompts": [one],
        "memory": {"peak_rss_bytes": rss},
        "busy_share_before": 0.0,
        "versions": {"lib": "1.2"},
    }


def export_record(error: str = "") -> dict[str, object]:
    return {"seconds": 10.0, "peak_rss_bytes": 2e9, "disk_bytes": 1e9, "prepare_s": 0.0, "error": error}


@pytest.fixture
def report() -> dict[str, object]:
    return {
        "schema": 1,
        "created": "2026-01-01T00:00:00+00:00",
        "command": "python -m benchmarks.peers --work out",
        "commit": "abc",
        "machine": MACHINE,
        "settings": {"layers": 1, "rounds": 3, "threads": 2, "prompt_lengths": [16], "decode_tokens": 64},
        "contenders": {"phi-edge": "phi-edge, int4", "genai": "genai <int4> & more", "broken": "an engine that fails"},
        "exports": {
            "phi-edge": export_record(),
            "genai": export_record(),
            "broken": export_record("killed by signal 9"),
        },
        "samples": [
            sample("phi-edge", 1, 30.0, 2e9),
            sample("genai", 1, 10.0, 4e9),
            sample("phi-edge", 2, 20.0, 2e9),
            sample("genai", 2, 8.0, 4e9),
            sample("phi-edge", 3, 28.0, 2e9),
            {"engine": "genai", "round": 3, "error": "exit status 1"},
        ],
    }


def test_default_geometry_is_that_of_phi_4_mini() -> None:
    shapes = Geometry().tensors()
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == 3_836_021_760
    assert shapes["model.layers.31.self_attn.qkv_proj.weight"] == (5120, 3072)
    assert shapes["model.layers.0.mlp.gate_up_proj.weight"] == (16384, 3072)


def test_random_checkpoint_loads_in_transformers_and_gives_finite_logits(checkpoint: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch checks the checkpoint")
    transformers = pytest.importorskip("transformers", reason="transformers checks the checkpoint")
    config = transformers.AutoConfig.from_pretrained(checkpoint)
    assert isinstance(config, transformers.Phi3Config)
    model, info = transformers.Phi3ForCausalLM.from_pretrained(
        checkpoint, dtype=torch.bfloat16, output_loading_info=True
    )
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"]
    assert all(value.dtype is torch.bfloat16 for value in model.parameters())
    with torch.no_grad():
        assert torch.isfinite(model(torch.tensor([[1, 2, 3]])).logits).all()


def test_random_checkpoint_has_the_names_shapes_and_spread_of_a_fresh_model(checkpoint: Path) -> None:
    torch = pytest.importorskip("torch", reason="numpy has no bf16")
    safetensors = pytest.importorskip("safetensors.torch")
    files = sorted(checkpoint.glob("*.safetensors"))
    assert len(files) > 1
    tensors = {name: value for file in files for name, value in safetensors.load_file(file).items()}
    assert {name: tuple(value.shape) for name, value in tensors.items()} == TINY.tensors()
    assert {value.dtype for value in tensors.values()} == {torch.bfloat16}
    weights = tensors["model.layers.0.mlp.gate_up_proj.weight"].float()
    assert weights.std().item() == pytest.approx(0.02, rel=0.05)
    assert abs(weights.mean().item()) < 1e-3
    assert (tensors["model.norm.weight"].float() == 1).all()


def test_weights_depend_on_seed_and_name_only_not_on_sharding_or_depth(tmp_path: Path) -> None:
    name, shape = "model.layers.0.mlp.down_proj.weight", (64, 96)
    values = np.concatenate(list(random_checkpoint.tensor_chunks(name, shape, 1)))
    assert np.array_equal(values, np.concatenate(list(random_checkpoint.tensor_chunks(name, shape, 1))))
    for other in (("model.layers.1.mlp.down_proj.weight", 1), (name, 2)):
        assert not np.array_equal(values, next(random_checkpoint.tensor_chunks(other[0], shape, other[1])))


def test_bf16_rounds_to_nearest_even() -> None:
    torch = pytest.importorskip("torch", reason="torch is the reference for bf16")
    values = np.array([1.0, 1.00390625, 1.01171875, -3.14159, 0.0, 65504.0, 1e-30], np.float32)
    expected = torch.from_numpy(values).bfloat16().view(torch.uint16).numpy()
    assert np.array_equal(to_bf16(values), expected)


def test_no_shard_exceeds_the_limit_and_none_is_empty() -> None:
    shards = split_shards({"a": (10,), "b": (30,), "c": (5, 2), "d": (100,)}, max_bytes=64)
    assert [list(shard) for shard in shards] == [["a"], ["b"], ["c"], ["d"]]
    assert [list(shard) for shard in split_shards({"a": (10,), "b": (10,)}, max_bytes=64)] == [["a", "b"]]


def test_an_interrupted_checkpoint_does_not_appear_under_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(random_checkpoint, "write_weights", full_disk)
    with pytest.raises(OSError, match="No space"):
        random_checkpoint.write_checkpoint(tmp_path / "checkpoint", TINY)
    assert not (tmp_path / "checkpoint").exists()


def test_stand_in_tokenizer_has_phi_4_ids_and_round_trips_text(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    write_tokenizer(tmp_path)
    tokenizer = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert {text: tokenizer.token_to_id(text) for text in SPECIAL.values()} == {v: k for k, v in SPECIAL.items()}
    text = "What is 12 × 3?\nZażółć gęślą jaźń."
    assert tokenizer.decode(tokenizer.encode(text).ids) == text
    assert tokenizer.encode("<|user|> \nhi").ids[1:] == tokenizer.encode("hi").ids


def test_every_engine_gets_the_same_prompts_without_special_tokens() -> None:
    assert prompts([16, 256]) == prompts([16, 256])
    assert [len(ids) for ids in prompts([3, 7])] == [3, 7]
    assert max(prompts([4096])[0]) < min(SPECIAL)


def test_summary_gives_medians_spreads_and_ratios_of_what_succeeded(report: dict[str, list]) -> None:
    rows = {row.metric.key: row for row in summarise(report["samples"], report["exports"], [16])}
    assert rows["decode@16"].engines == {"phi-edge": Spread(20.0, 28.0, 30.0), "genai": Spread(8.0, 9.0, 10.0)}
    assert rows["decode@16"].ratios["genai"] == Spread(2.5, 28.0 / 9.0, 3.0)
    assert rows["peak_rss"].ratios["genai"] == Spread(0.5, 0.5, 0.5)
    assert rows["export"].engines == {"phi-edge": Spread(10, 10, 10), "genai": Spread(10, 10, 10)}
    assert "prepare" not in rows


def test_table_names_every_failure_and_every_unit(report: dict[str, object]) -> None:
    text = markdown(report)
    assert "**broken** failed: killed by signal 9" in text
    assert "**genai** failed: exit status 1" in text
    assert "| decode after 16 tokens [tok/s] | 28.0 (20.0–30.0) | 9.00 (8.00–10.0) | 3.11× (2.50–3.00) |" in text
    assert "| peak RSS [GB] | 2.00 | 4.00 | 0.500× |" in text


def test_plot_is_well_formed_with_one_bar_group_per_engine_in_each_panel(
    report: dict[str, object], tmp_path: Path
) -> None:
    write(report, tmp_path)
    root = ElementTree.fromstring((tmp_path / "report.svg").read_text())
    groups = root.findall(f".//{SVG}g[@class='engine']")
    panels = len(groups) // 2
    assert [group.get("data-engine") for group in groups] == ["phi-edge", "genai"] * panels
    assert panels == 6
    for bar in root.iter(f"{SVG}rect"):
        assert float(bar.get("height", "")) >= 0


def test_higher_values_get_proportionally_higher_bars(report: dict[str, object], tmp_path: Path) -> None:
    write(report, tmp_path)
    root = ElementTree.fromstring((tmp_path / "report.svg").read_text())
    groups = root.findall(f".//{SVG}g[@class='engine']")
    ours, theirs = (float(group.find(f"{SVG}rect").get("height")) for group in groups[2:4])  # decode panel
    assert ours / theirs == pytest.approx(28 / 9, rel=0.01)


def test_json_holds_the_raw_samples_and_makes_the_same_plot_again(report: dict[str, object], tmp_path: Path) -> None:
    write(report, tmp_path / "first")
    again = json.loads((tmp_path / "first" / "report.json").read_text())
    assert again["samples"] == report["samples"]
    write(again, tmp_path / "second")
    for name in ("report.md", "report.svg"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


@pytest.mark.parametrize(("top", "step"), [(1.0, 0.2), (27.3, 10.0), (120.0, 50.0), (0.004, 0.001), (5.0, 1.0)])
def test_axis_steps_are_round_numbers(top: float, step: float) -> None:
    assert nice_step(top) == pytest.approx(step)


def test_child_reports_memory_output_and_the_reason_of_a_failure(tmp_path: Path) -> None:
    big = run_child([sys.executable, "-c", "x = b'1' * 200_000_000; print('ok')"], tmp_path / "big.log")
    assert big.status == 0 and big.stdout == "ok\n" and big.max_rss_bytes > 200_000_000
    log = tmp_path / "bad.log"
    bad = run_child([sys.executable, "-c", "import sys; sys.exit('no such model')"], log)
    assert bad.failure(log) == "exit status 1: no such model"
    killed = run_child([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], tmp_path / "killed.log")
    assert killed.failure(tmp_path / "killed.log") == "killed by signal 9"


@pytest.mark.parametrize("text", ["", "16,x", "0,16", "-1"])
def test_prompt_lengths_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_lengths(text)
