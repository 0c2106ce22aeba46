"""Rounds A B C A B C …: in each, every contender answers the same prompts in a fresh process."""

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers.child import run_child
from benchmarks.peers.lineup import Contender
from benchmarks.peers.machine import busy_share, warm_page_cache

PLAIN_TOKENS = 199000
"""Ids below this are ordinary text in the vocabulary, no special tokens."""


def prompts(lengths: Sequence[int], seed: int = 0) -> list[list[int]]:
    """The same random token ids for every engine: none gains from its own tokenizer."""
    choose = random.Random(seed)
    return [[choose.randrange(PLAIN_TOKENS) for _ in range(length)] for length in lengths]


def measure_once(contender: Contender, python: str, files: Path, request: dict[str, Any], log: Path) -> dict[str, Any]:
    """The child's report, with ru_maxrss as seen from outside and how busy the machine was before; or an error."""
    warm_page_cache(files)
    busy = busy_share()
    result = run_child(
        [python, "-m", contender.module],
        log,
        stdin=json.dumps({**request, "model": str(files)}),
        env=contender.environment(files),
    )
    error = result.failure(log)
    if error:
        return {"engine": contender.name, "error": error}
    report: dict[str, Any] = json.loads(result.stdout)
    return {
        "engine": contender.name,
        "process_s": result.seconds,
        "max_rss_bytes": result.max_rss_bytes,
        "busy_share_before": busy,
        **report,
    }


def run_rounds(
    line_up: Sequence[tuple[Contender, str, Path]],
    rounds: int,
    request: dict[str, Any],
    logs: Path,
    tell: Callable[[str], None],
) -> list[dict[str, Any]]:
    """All samples in the order they were taken; one that failed has `error` and is not tried again."""
    samples: list[dict[str, Any]] = []
    failed: set[str] = set()
    for number in range(1, rounds + 1):
        for contender, python, files in line_up:
            if contender.name in failed:
                continue
            tell(f"round {number}/{rounds}: {contender.title}")
            log = logs / f"{contender.name}.round{number}.log"
            sample = {"round": number, **measure_once(contender, python, files, request, log)}
            samples.append(sample)
            if "error" in sample:
                failed.add(contender.name)
                tell(f"  failed, {sample['error']}")
    return samples
