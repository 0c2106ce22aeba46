"""Stage 1: the text base learns commands, calls, small talk and refusals. Afterwards it is frozen."""

import time
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn

from benchmarks.terminal.language.text_turns import draw_text_turn
from benchmarks.terminal.training.prompts import Renderer, Sequence, pad
from benchmarks.terminal.training.schedule import Run

BATCH, POOL = 48, 16
RATE = 2e-3


def train_text(model: nn.Module, tokenizer: Tokenizer, path: Path, steps: int, seed: int = 11) -> Run:
    """Batches of equally long turns; prompts are learned too, at a tenth, since the base must know the language."""
    renderer = Renderer(tokenizer)
    decoder = [p for n, p in model.named_parameters() if "embed_tokens_extend" not in n]
    run = Run(path, base_parts(model), decoder, steps, RATE)
    rng = np.random.default_rng([seed, run.step])
    pool: list[list[Sequence]] = []
    model.train()
    while run.step < steps:
        began = time.perf_counter()
        if not pool:
            drawn = sorted(
                (renderer.sequence(draw_text_turn(rng)) for _ in range(BATCH * POOL)), key=lambda s: len(s.ids)
            )
            batches = [drawn[i : i + BATCH] for i in range(0, len(drawn), BATCH)]
            pool = [batches[i] for i in rng.permutation(len(batches))]
        ids, mask, labels = pad(pool.pop())
        with torch.autocast("cpu", torch.bfloat16):
            hidden = model.model(inputs_embeds=model.model.embed_tokens(ids), attention_mask=mask, use_cache=False)
        loss, right = answer_loss(model, hidden.last_hidden_state, ids, mask, labels)
        run.update(loss)
        run.tell("text", began, {"loss": loss.item(), "right": right})
    run.save()
    return run


def base_parts(model: nn.Module) -> dict[str, nn.Module]:
    """The text base, for the run's file."""
    return {"embed": model.model.embed_tokens, "layers": model.model.layers, "norm": model.model.norm}


def answer_loss(
    model: nn.Module, hidden: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, float]:
    """Cross-entropy of the answers plus a tenth of the prompts', and the share of answer tokens that are right."""
    logits = model.lm_head(hidden[:, :-1].float())
    target, learned = ids[:, 1:], labels[:, 1:] >= 0
    each = nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none").view_as(target)
    asked = (mask[:, 1:] > 0) & ~learned
    loss = each[learned].mean() + 0.1 * each[asked].mean()
    return loss, (logits.argmax(-1) == target)[learned].float().mean().item()
