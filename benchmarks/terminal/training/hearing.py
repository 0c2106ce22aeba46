"""Recordings as the speech encoder hears them: once it has learned, its states are made once and kept."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.terminal.training.speech_encoder import encode
from benchmarks.terminal.training.spoken import Spoken, draw_spoken


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """`states` float16 [tokens, width] of what was `spoken`, whose features are no longer there."""

    states: np.ndarray
    spoken: Spoken


def draw_heard(rng: np.random.Generator, encoder: nn.Module, **options: Any) -> Heard:
    """Something said by somebody (see draw_spoken)."""
    spoken = draw_spoken(rng, **options)
    return Heard(hear(spoken.features, encoder), replace(spoken, features=spoken.features[:0]))


@torch.no_grad()
def hear(features: np.ndarray, encoder: nn.Module) -> np.ndarray:
    """float16 [tokens, width] for log-mel features [frames, 80]."""
    clip = torch.from_numpy(features.astype(np.float32))[None]
    with torch.autocast("cpu", torch.bfloat16):
        states = encode(encoder, clip, torch.tensor([len(features)]))[0]
    return states[0].float().numpy().astype(np.float16)
