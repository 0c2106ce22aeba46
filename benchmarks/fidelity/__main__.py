"""python -m benchmarks.fidelity REFERENCE CANDIDATE…: bundles of one model against its float32 export."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.fidelity.compare import compare
from benchmarks.fidelity.texts import QUESTIONS, evaluation_text
from edge.model import Model, load
from edge.turn_options import TurnOptions

MIN_TOKENS = 6000
GREEDY_TOKENS = 32
SAME_START = 16


def greedy_ids(model: Model, question: str) -> list[int]:
    """The first tokens of the greedy answer."""
    conversation = model.conversation()
    for _ in conversation.generate(question, TurnOptions(max_tokens=GREEDY_TOKENS)):
        pass
    prompt = len(model.sequence.ids)
    start = len(model.tokenizer.encode_parts(model.chat_format.render(conversation.messages[:-1])))
    return model.sequence.ids[start:prompt]


def main(
    reference: Annotated[Path, typer.Argument(help="Bundle exported with --bits 32.")],
    candidates: Annotated[list[Path], typer.Argument(help="Bundles of the same checkpoint.")],
    threads: int = 0,
) -> None:
    base = load(reference, threads)
    ids = base.tokenizer.encode_text(evaluation_text())
    assert len(ids) >= MIN_TOKENS, f"only {len(ids)} tokens of evaluation text"
    answers = [greedy_ids(base, question) for question in QUESTIONS]
    typer.echo(
        "| bundle | MB | perplexity | ratio | KL | top-1 | first 16 tokens same |\n|---|---|---|---|---|---|---|"
    )
    rows = []
    for path in candidates:
        model = load(path, threads)
        result = compare(base.decoder, model.decoder, ids)
        same = sum(
            greedy_ids(model, question)[:SAME_START] == answer[:SAME_START]
            for question, answer in zip(QUESTIONS, answers, strict=True)
        )
        rows.append({"bundle": path.name, **asdict(result), "same_start": same, "questions": len(QUESTIONS)})
        typer.echo(
            f"| {path.name} | {model.bundle.bytes / 1e6:.0f} | {result.perplexity:.3f} "
            f"(float {result.reference_perplexity:.3f}) | {result.perplexity_ratio:.4f} | {result.kl_divergence:.4f} "
            f"| {result.top1_agreement:.4f} | {same} of {len(QUESTIONS)} |"
        )
    typer.echo(json.dumps({"tokens": len(ids), "rows": rows}))


if __name__ == "__main__":
    typer.run(main)
