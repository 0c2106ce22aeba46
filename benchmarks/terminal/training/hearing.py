"""Recordings as the speech encoder hears them: once it has learned, its states are made once and kept."""

import numpy as np
import torch
from torch import nn

from benchmarks.terminal.training.speech_encoder import encode


@torch.no_grad()
def hear(features: np.ndarray, encoder: nn.Module) -> np.ndarray:
    """States float16 [tokens, width] for log-mel features [frames, 80]."""
    clip = torch.from_numpy(features.astype(np.float32))[None]
    with torch.autocast("cpu", torch.bfloat16):
        states = encode(encoder, clip, torch.tensor([len(features)]))[0]
    return states[0].float().numpy().astype(np.float16)
