"""A language small enough to learn in a second or two, so that a test model has opinions worth comparing.

Every token is decided by the one two places before it; one in ten is noise. A random model's best tokens are
nearly tied: how often two computations of it agree says little.
"""

from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

TOKENS = 50
NOISE = 0.1


def sentences(count: int, length: int, seed: int) -> np.ndarray:
    """int64 [count, length]."""
    follower = np.random.default_rng(0).permutation(TOKENS)
    random = np.random.default_rng(seed)
    made = random.integers(0, TOKENS, (count, length))
    noisy = random.random((count, length)) < NOISE
    for place in range(2, length):
        made[:, place] = np.where(noisy[:, place], made[:, place], follower[made[:, place - 2]])
    return made


def learn(model: Any, steps: int = 120, seed: int = 1) -> None:
    """Trains a transformers model in place."""
    import torch

    torch.manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=8e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 8e-3, total_steps=steps)
    model.train()
    for step in range(steps):
        batch = torch.from_numpy(sentences(16, 24, seed + step))
        logits = model(batch, use_cache=False).logits[:, 1:-1]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 2:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    model.eval()


def save_weights(model: Any, checkpoint: Path) -> None:
    """Over the checkpoint's own; a tied head is left out, as in released checkpoints."""
    tied = model.config.tie_word_embeddings
    tensors = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    save_file(
        {k: v for k, v in tensors.items() if not (tied and k == "lm_head.weight")}, checkpoint / "model.safetensors"
    )
