"""From turns with embedded media to the loss of their answers: the part that all modalities share."""

from collections.abc import Sequence

import torch
from torch import nn

from benchmarks.terminal.training.prompts import Renderer, pad
from benchmarks.terminal.training.prompts import Sequence as Rendered


def project(projector: nn.ModuleList, features: torch.Tensor) -> torch.Tensor:
    """Embeddings [n, hidden] of an encoder's `features` [n, width], by the up and down layers of a projector."""
    up, down = projector
    with torch.autocast("cpu", torch.bfloat16):
        return down(nn.functional.gelu(up(features)))


def answer_loss(
    model: nn.Module,
    renderer: Renderer,
    sequences: Sequence[Rendered],
    pictures: torch.Tensor | None = None,
    speech: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """(mean cross-entropy of the answers' tokens, bool [batch]: right from the first token to the last).

    `pictures` and `speech` are the embeddings [tokens, hidden] of all placeholders, in the order of the batch.
    """
    ids, mask, labels = pad(list(sequences))
    with torch.autocast("cpu", torch.bfloat16):
        embedded = model.model.embed_tokens(ids)
        for token, media in ((renderer.image, pictures), (renderer.audio, speech)):
            if media is not None:
                embedded = embedded.masked_scatter((ids == token)[:, :, None], media.to(embedded.dtype))
        states = model.model(inputs_embeds=embedded, attention_mask=mask, use_cache=False).last_hidden_state
    target = labels[:, 1:]
    learned = target >= 0
    logits = model.lm_head(states[:, :-1][learned].float())
    wrong = torch.zeros_like(learned)
    wrong[learned] = logits.argmax(-1) != target[learned]
    return nn.functional.cross_entropy(logits, target[learned]), ~wrong.any(1)
