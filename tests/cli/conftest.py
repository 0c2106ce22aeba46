"""A model that is slow enough to be interrupted, and files that the tests feed to the command line."""

from collections.abc import Callable
from pathlib import Path

import pytest

from export.exporter import run_export
from export.options import ExportOptions
from export.plan import plan_export
from tests.checkpoints import config, tensors, tokenizer, write_checkpoint

SLOW_CONTEXT = 32768


@pytest.fixture(scope="session")
def slow_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """8 layers, unquantised: a minute of work for a full context. Never stops: a stop token's logit is always 0.

    Not int4, because a quantised random model turns rounding errors, which depend on how a prompt is cut into
    calls, into other tokens; the tests compare answers that were computed in other cuts.
    """
    context = {"max_position_embeddings": SLOW_CONTEXT, "original_max_position_embeddings": SLOW_CONTEXT}
    cfg = config("phi3", num_hidden_layers=8, **context)
    weights = tensors(cfg)
    stops = [tokenizer().token_to_id(token) for token in ("<|end|>", "<|endoftext|>")]
    weights["model.embed_tokens.weight"][stops] = 0
    root = tmp_path_factory.mktemp("slow")
    out = root / "slow"
    run_export(plan_export(write_checkpoint(root / "checkpoint", cfg, weights), ExportOptions(bits=32)), out)
    return out


@pytest.fixture
def a_file(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Writes its argument to a file of its own."""
    count = 0

    def write(content: str | bytes) -> Path:
        nonlocal count
        count += 1
        path = tmp_path / f"file-{count}.json"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write
