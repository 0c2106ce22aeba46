"""python -m benchmarks.processors BUNDLE --ep qnn --set DIR/text_calls --set DIR/commands --set DIR/displays

The bundle has graphs of fixed shapes (edge export --target qnn). Prompts of evaluation sets (those that
`python -m benchmarks.terminal.evaluation DIR` makes, or any labels.jsonl) go through encoders, prompt and 32 tokens on
the processor, with nothing left to the CPU but rows of tables, and through the same graphs on the CPU provider, whose
greedy tokens both are given. With --rounds the speeds are measured as well, against the decoder of the CPU.
"""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.processors.fixed_on_cpu import FixedOnCpu
from edge.bundle.bundle import Bundle
from edge.conversation import Conversation
from edge.doctor import machine_facts
from edge.evaluation.labels import Item, read_labels
from edge.media.clip import read_clip
from edge.media.image_file import read_image
from edge.model import Model
from edge.prompt.tools import load_tools
from edge.providers.plugin import Plugin, plugin
from edge.providers.probes import ENCODERS
from edge.providers.processor import Processor
from edge.runtime.bench import Spread, measure
from edge.runtime.decoding import Decoding
from edge.runtime.generate import Sequence
from edge.runtime.media_tokens import media_between
from edge.turn_options import TurnOptions

TOKENS, PROMPT = 32, 256


def on(bundle: Bundle, one: Plugin, mode: str, encoders: bool, threads: int) -> Model:
    """Everything that can be there, whether it has proved itself or not."""
    model = Model(bundle, threads, mode, "cpu")  # type: ignore[arg-type]
    graph = model.decoder_graph(mode)  # type: ignore[arg-type]
    model.processor = Processor(bundle, one, [graph, *(ENCODERS if encoders else ())], threads)
    model.decoder, model.encoders = model.processor.decoder(graph), model.processor.encoders()
    model.sequence = Sequence(model.decoder)
    return model


def read(model: Model, item: Item) -> np.ndarray:
    """Logits [vocab] after the prompt, which is in the cache then."""
    tools = load_tools(item.tools) if item.tools else []
    media: dict[str, Any] = {
        "images": [read_image(path) for path in item.images],
        "audio": [read_clip(path) for path in item.audio],
    }
    model.decoder.rewind(0)
    model.sequence.ids = []
    for _ in Conversation(model, tools=tools).generate(item.prompt, TurnOptions(max_tokens=1), **media):
        pass
    ids, decoder = model.sequence.ids[:-1], model.decoder
    decoder.rewind(0)
    decoder.reserve(len(ids) + TOKENS)
    return decoder.prefill(ids, None, *media_between(model.sequence.media, 0, len(ids)))[0].copy()


def error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def compare(tried: Model, reference: Model, items: list[Item]) -> dict[str, Any]:
    """Prompts with 32 equal tokens, equal tokens, and relative errors of logits."""
    same = hits = 0
    errors: list[float] = []
    for number, item in enumerate(items, 1):
        started = time.monotonic()
        found, expected = read(tried, item), read(reference, item)
        if tried.decoder.on_cpu:
            raise SystemExit(f"prompt {number} does not fit into the window: export with a larger --window")
        equal = []
        for _ in range(TOKENS):
            token = int(expected.argmax())
            equal.append(int(found.argmax()) == token)
            errors.append(error(found, expected))
            found, expected = tried.decoder.step(token).copy(), reference.decoder.step(token).copy()
        same, hits = same + all(equal), hits + sum(equal)
        took = time.monotonic() - started
        typer.echo(
            f"  {number}: {sum(equal)} of {TOKENS}, logits within {max(errors[-TOKENS:]):.2%}, {took:.0f} s", err=True
        )
    return {
        "prompts": len(items),
        "all_tokens_equal": same,
        "tokens_equal": hits / len(items) / TOKENS,
        "logits_error_median": float(np.median(errors)),
        "logits_error_max": max(errors),
        "nodes": tried.compute["nodes"],
    }


def speeds(decoders: dict[str, Decoding], rounds: int) -> dict[str, Any]:
    """In turns. Tokens per second: lowest, median, highest."""
    samples: dict[str, list[Any]] = {name: [] for name in decoders}
    for _ in range(rounds):
        for name, decoder in decoders.items():
            samples[name] += measure(decoder, [PROMPT], TOKENS, 1)
    return {
        name: {
            kind: vars_of(Spread.of([getattr(sample, f"{kind}_tokens_per_s") for sample in found]))
            for kind in ("prefill", "decode")
        }
        for name, found in samples.items()
    }


def vars_of(spread: Spread) -> list[float]:
    return [round(value, 2) for value in (spread.low, spread.median, spread.high)]


def main(
    bundle: Path,
    ep: Annotated[str, typer.Option(help="See  edge devices --compute.")],
    sets: Annotated[list[Path] | None, typer.Option("--set", help="Folder with labels.jsonl.")] = None,
    prompts: Annotated[int, typer.Option(help="Of each set.")] = 32,
    encoders: Annotated[bool, typer.Option(help="Encoders too; a simulator takes minutes for a picture.")] = True,
    rounds: Annotated[int, typer.Option(help="Of the speeds; 0 leaves them out.")] = 0,
    threads: int = 0,
) -> None:
    opened, told = Bundle.open(bundle.resolve()), dict[str, Any]()
    for folder in sets or []:
        items = read_labels(folder)[:prompts]
        typer.echo(f"{folder.name}, {items[0].mode}", err=True)
        pair = [on(opened, one, items[0].mode, encoders, threads) for one in (plugin(ep), FixedOnCpu())]
        told[folder.name] = {"mode": items[0].mode} | compare(pair[0], pair[1], items)
    if rounds:
        decoders: dict[str, Decoding] = {
            ep: Processor(opened, plugin(ep), ["text"], threads).decoder("text"),
            "fixed graphs on the CPU provider": Processor(opened, FixedOnCpu(), ["text"], threads).decoder("text"),
            "the CPU's decoder": Model(opened, threads, "text", "cpu").decoder,
        }
        told["tokens_per_s"] = speeds(decoders, rounds)
    typer.echo(json.dumps({"machine": machine_facts(), "ep": ep, "sets": told}, indent=1))


if __name__ == "__main__":
    typer.run(main)
