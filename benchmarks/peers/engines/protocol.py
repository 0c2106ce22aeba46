"""What each engine's child process does: load, answer the prompts, report one JSON object on stdout.

The request arrives as JSON on stdin: {"model": path, "threads": n, "prompts": [[token id, …], …],
"decode_tokens": n}. Every engine goes through the same loop, so the clocks start and stop at the
same places. This file needs only the standard library: it runs in the peers' interpreter.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

WARM_UP_TOKENS = 16


class Engine(Protocol):
    def reset(self, prompt_tokens: int) -> None:
        """Empty the context and make room for `prompt_tokens` and the answer; not timed."""

    def prefill(self, ids: list[int]) -> int:
        """Read the prompt; the greedy next token."""

    def step(self, token: int) -> int:
        """Read `token`; the greedy next one. A stop token is a token like any other."""

    def versions(self) -> dict[str, str]: ...


@dataclass(frozen=True, slots=True)
class Request:
    model: Path
    threads: int
    prompts: list[list[int]]
    decode_tokens: int

    @property
    def context(self) -> int:
        """Tokens the longest conversation needs, first generated token included."""
        return max(len(prompt) for prompt in self.prompts) + self.decode_tokens + 1


def run_prompt(engine: Engine, ids: list[int], decode_tokens: int) -> dict[str, Any]:
    """Times of one prompt in an empty context; the first token belongs to prefill, `decode_tokens` follow."""
    engine.reset(len(ids))
    start = time.perf_counter()
    token = engine.prefill(ids)
    first = time.perf_counter()
    tokens, ends = [token], [first]
    for _ in range(decode_tokens):
        token = engine.step(token)
        ends.append(time.perf_counter())
        tokens.append(token)
    steps = [b - a for a, b in pairwise(ends)]
    return {
        "prompt_tokens": len(ids),
        "ttft_s": first - start,
        "prefill_tokens_per_s": len(ids) / (first - start),
        "decode_tokens_per_s": decode_tokens / (ends[-1] - first),
        "decode_step_s": [round(step, 6) for step in steps],
        "tokens": tokens,
    }


def process_memory() -> dict[str, int]:
    """VmHWM (peak resident set) and what is resident now, split into anonymous and file pages, in bytes."""
    wanted = {"VmHWM": "peak_rss_bytes", "RssAnon": "anonymous_bytes", "RssFile": "file_bytes"}
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return {key: int(fields[name].split()[0]) * 1024 for name, key in wanted.items()}


def serve(load: Callable[[Request], Engine]) -> None:
    """Run the request on stdin with the engine that `load` gives. Imports are over, so load time is the engine's."""
    answer = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints goes to stderr; stdout carries the report only
    fields = json.load(sys.stdin)
    request = Request(**fields | {"model": Path(fields["model"])})
    start = time.perf_counter()
    engine = load(request)
    engine.reset(WARM_UP_TOKENS)
    loaded = time.perf_counter()
    # A mapped file is read in on first use; this request pays for that and shows it.
    engine.prefill(request.prompts[0][:WARM_UP_TOKENS])
    first_token = time.perf_counter()
    prompts = [run_prompt(engine, ids, request.decode_tokens) for ids in request.prompts]
    report = {
        "versions": {"python": sys.version.split()[0], **engine.versions()},
        "load_s": loaded - start,
        "load_to_first_token_s": first_token - start,
        "prompts": prompts,
        "memory": process_memory(),
    }
    with os.fdopen(answer, "w") as out:
        json.dump(report, out)
