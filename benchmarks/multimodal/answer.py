"""A measured child: loads a bundle, answers one case, reports one JSON object on stdout.

The request arrives as JSON on stdin: {"model": directory, "case": name, "threads": n, "decode_tokens": n,
"idle_s": s}. The directory is a bundle, or holds one as `bundle`; before the second answer nothing happens for idle_s.
"""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.multimodal.cases import RATE, Turn, case_named
from benchmarks.multimodal.synthetic_media import picture, recording, words
from benchmarks.peers.engines.protocol import process_memory
from edge.events import Done, Event, mode_of
from edge.model import Model, load
from edge.prompt.message import Message
from edge.turn_options import TurnOptions


def never_stopping(model: Model) -> Model:
    """Random weights may choose a stop token at any time; without any, all answers have the same length."""
    model.manifest = replace(model.manifest, tokens=replace(model.manifest.tokens, stop=[]))
    return model


def ask(model: Model, turn: Turn, decode_tokens: int, seed: int) -> dict[str, Any]:
    """Times of one turn in a new conversation, through the public API and its front ends.

    `ttft_s` is all time but the answer's: reading media, encoders, prompt. Opening sessions counts where it happens.
    """
    count = len(model.tokenizer.encode_parts(model.chat_format.render([Message("user", "")])))
    prompt = words(lambda text: count + len(model.tokenizer.encode_text(text)), turn.tokens, seed)
    audio = [(recording(turn.seconds, RATE, seed), float(RATE))] if turn.seconds else []
    images = [picture(turn.side, seed)] if turn.side else []
    conversation = model.conversation()
    start = time.perf_counter()
    done = last(conversation.generate(prompt, TurnOptions(max_tokens=decode_tokens), images=images, audio=audio))
    total_s = time.perf_counter() - start
    if done.usage.completion_tokens != decode_tokens:
        raise SystemExit(f"{done.usage.completion_tokens} tokens were answered, {decode_tokens} asked for")
    answer_s = (decode_tokens - 1) / done.timing.decode_tokens_per_s if decode_tokens > 1 else 0.0
    return {
        "mode": done.mode,
        "usage": asdict(done.usage),
        "total_s": total_s,
        "ttft_s": total_s - answer_s,
        "encode_s": done.timing.encode_s,
        "prefill_tokens_per_s": done.timing.prefill_tokens_per_s,
        "decode_tokens_per_s": done.timing.decode_tokens_per_s,
        "realtime_factor": total_s / turn.seconds if turn.seconds else None,
        "text": done.text[:80],
    }


def last(events: Iterator[Event]) -> Done:
    *_, done = events
    assert isinstance(done, Done)
    return done


def main() -> None:
    request = json.load(sys.stdin)
    case, decode_tokens = case_named(request["case"]), request["decode_tokens"]
    home = Path(request["model"])
    start = time.perf_counter()
    bundle = home / "bundle" if (home / "bundle").is_dir() else home
    opening = case.turns[0]
    mode = mode_of(bool(opening.side), bool(opening.seconds))
    model = never_stopping(load(bundle, request["threads"], mode))
    load_s = time.perf_counter() - start
    first = [ask(model, turn, decode_tokens, seed) for seed, turn in enumerate(case.turns)]
    once = process_memory()
    time.sleep(request.get("idle_s", 0))
    again = ask(model, case.turns[0], decode_tokens, len(case.turns))
    report = {
        "versions": {name: version(name) for name in ("onnxruntime", "numpy")},
        "load_s": load_s,
        "first": first,
        "again": again,
        "memory": process_memory() | {"peak_rss_bytes": once["peak_rss_bytes"]},
    }
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()
