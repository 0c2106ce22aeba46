"""Disk and memory run out: said before the work when it can be known, and nothing half-written otherwise."""

import functools
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge.bundle.verify import verify
from edge.errors import ResourceError
from export.options import ExportOptions
from export.plan import plan_export
from tests.checkpoints import config, tokenizer
from tests.export.command import ROOT, edge_export, error_lines


def cannot_mount() -> str:
    """Why this process cannot mount a small disk of its own, or nothing."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        return "needs root and unshare to mount a small disk"
    probe = "mount -t tmpfs -o size=1m small /mnt"
    done = subprocess.run(["unshare", "-m", "sh", "-c", probe], capture_output=True, text=True)
    return f"cannot mount a tmpfs: {done.stderr.strip()}" if done.returncode else ""


def cannot_trace() -> str:
    if not shutil.which("strace"):
        return "needs strace to make system calls fail"
    done = subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], capture_output=True, text=True)
    return f"strace does not work here: {done.stderr.strip()}" if done.returncode else ""


def on_small_disk(size: str, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs a command that may use /mnt, a tmpfs of `size` that only it sees."""
    script = f'mount -t tmpfs -o size={size} small /mnt && exec "$@"'
    line = ["unshare", "-m", "sh", "-c", script, "sh", *map(str, command)]
    return subprocess.run(line, capture_output=True, text=True, cwd=ROOT, timeout=120)


@pytest.mark.skipif(bool(cannot_mount()), reason=cannot_mount())
def test_a_disk_that_is_too_small_is_refused_with_numbers_before_any_work(phi3_checkpoint: Path) -> None:
    command = [sys.executable, "-m", "edge.cli.main", "export", phi3_checkpoint, "/mnt/bundle"]
    done = on_small_disk("8m", *command)
    assert done.returncode == 6, done.stderr
    message, hint = error_lines(done)
    assert "8.4 MB free" in message and "needs" in message and hint


@pytest.mark.skipif(bool(cannot_mount()), reason=cannot_mount())
def test_a_disk_that_fills_up_meanwhile_leaves_nothing_and_the_next_try_succeeds(phi3_checkpoint: Path) -> None:
    done = on_small_disk("100m", sys.executable, "-m", "tests.export.full_disk", phi3_checkpoint, "/mnt")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["exit_code"] == 6 and "free" in result["message"] and result["hint"]
    assert result["left"] == ["filler"]
    assert result["whole"]


def test_a_file_size_limit_is_exit_6_and_leaves_nothing(phi3_checkpoint: Path, tmp_path: Path) -> None:
    limit = functools.partial(resource.setrlimit, resource.RLIMIT_FSIZE, (300_000, 300_000))
    done = edge_export(phi3_checkpoint, tmp_path / "place" / "bundle", before=limit)
    assert done.returncode == 6, done.stderr
    assert "size limit" in error_lines(done)[0]
    assert list((tmp_path / "place").iterdir()) == []


FAULTS = [
    "fdatasync:error=EIO:when=1",
    "fsync:error=EIO:when=1",
    "fsync:error=EIO:when=4",
    "fsync:error=ENOSPC:when=6",
    "rename:error=EIO:when=2",
    "rename:error=ENOSPC:when=5",
]


@pytest.mark.skipif(bool(cannot_trace()), reason=cannot_trace())
@pytest.mark.parametrize("fault", FAULTS)
def test_a_failing_disk_is_never_taken_for_success(phi3_checkpoint: Path, tmp_path: Path, fault: str) -> None:
    trace = ("strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=" + fault.split(":")[0], "-e", "inject=" + fault)
    out = tmp_path / "place" / "bundle"
    done = edge_export(phi3_checkpoint, out, prefix=trace)
    assert done.returncode == 6, done.stderr
    error_lines(done)
    assert list(out.parent.iterdir()) == []
    assert edge_export(phi3_checkpoint, out).returncode == 0
    assert verify(out).ok


@pytest.mark.skipif(bool(cannot_trace()), reason=cannot_trace())
def test_a_checkpoint_on_a_failing_disk_is_blamed_and_not_the_target(phi3_checkpoint: Path, tmp_path: Path) -> None:
    weights = str(phi3_checkpoint / "model.safetensors")
    trace = ("strace", "-f", "-qq", "-o", os.devnull, "-P", weights, "-e", "inject=pread64:error=EIO:when=3")
    out = tmp_path / "place" / "bundle"
    done = edge_export(phi3_checkpoint, out, prefix=trace)
    assert done.returncode == 3, done.stderr
    assert "model.safetensors cannot be read: Input/output error" in error_lines(done)[0]


def test_a_memory_limit_that_cannot_be_kept_is_refused_with_numbers(phi3_checkpoint: Path, tmp_path: Path) -> None:
    done = edge_export(phi3_checkpoint, tmp_path / "place" / "bundle", "--max-ram", "50MB")
    assert done.returncode == 6, done.stderr
    message, hint = error_lines(done)
    assert "--max-ram allows 50 MB" in message
    assert "--max-ram" in hint
    assert not (tmp_path / "place").exists()


@pytest.fixture
def large_checkpoint(tmp_path: Path) -> Path:
    """600 MB of bfloat16: two layers as wide as Phi-4-mini's and 32,000 rows of vocabulary."""
    cfg = config(
        "phi3",
        hidden_size=3072,
        intermediate_size=8192,
        num_hidden_layers=2,
        num_attention_heads=48,
        num_key_value_heads=8,
        vocab_size=32_000,
    )
    hidden, inter, kv = 3072, 8192, 8 * 64
    shapes: dict[str, list[int]] = {"model.embed_tokens.weight": [32_000, hidden], "model.norm.weight": [hidden]}
    for layer in range(2):
        prefix = f"model.layers.{layer}."
        shapes |= {
            prefix + "self_attn.qkv_proj.weight": [hidden + 2 * kv, hidden],
            prefix + "self_attn.o_proj.weight": [hidden, hidden],
            prefix + "mlp.gate_up_proj.weight": [2 * inter, hidden],
            prefix + "mlp.down_proj.weight": [hidden, inter],
            prefix + "input_layernorm.weight": [hidden],
            prefix + "post_attention_layernorm.weight": [hidden],
        }
    directory = tmp_path / "large"
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(cfg))
    tokenizer().save(str(directory / "tokenizer.json"))
    write_bfloat16(directory / "model.safetensors", shapes)
    return directory


def write_bfloat16(file: Path, shapes: dict[str, list[int]]) -> None:
    """One random megabyte over and over: quick to make, as costly to read and quantise as any."""
    header, end = {}, 0
    for name, shape in shapes.items():
        size = 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    raw = json.dumps(header).encode()
    noise = np.random.default_rng(0).standard_normal(1 << 19).astype(np.float32) * np.float32(0.02)
    block = (noise.view(np.uint32) >> 16).astype("<u2").tobytes()
    with file.open("wb") as stream:
        stream.write(len(raw).to_bytes(8, "little") + raw)
        for start in range(0, end, len(block)):
            stream.write(block[: end - start])


def test_600_megabytes_are_exported_in_the_memory_that_a_refusal_suggests_and_the_kernel_enforces(
    large_checkpoint: Path, tmp_path: Path
) -> None:
    source = (large_checkpoint / "model.safetensors").stat().st_size
    with pytest.raises(ResourceError) as raised:
        plan_export(large_checkpoint, ExportOptions(max_ram=1, fidelity=True))
    suggested = raised.value.hint.split()[-1]
    # a process starts with the peak of the one that forked it, and this one may have loaded torch
    small_parent = ("sh", "-c", '"$@"; exit $?', "sh")
    done = edge_export(large_checkpoint, tmp_path / "bundle", "--max-ram", suggested, "--json", prefix=small_parent)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["peak_rss_bytes"] < 580e6 < source, "measured with a whole matrix in float32, 200 MB"
    print(f"--max-ram {suggested}, peak {report['peak_rss_bytes'] / 1e6:.0f} MB")
    shutil.rmtree(large_checkpoint)
    assert verify(tmp_path / "bundle").ok
    shutil.rmtree(tmp_path / "bundle")
