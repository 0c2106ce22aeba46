"""The speech encoder's forward pass over a padded batch, equal to one clip at a time.

The port adds its mask to the attention logits instead of removing what is masked, and padding would leak through the
strided convolutions; a clip alone on a device has neither. Here padding is zeroed before every convolution, as if the
clip ended there, and masked positions get minus infinity, as in the original.
"""

import torch
from torch import nn


def encode(encoder: nn.Module, features: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(hidden [batch, tokens, width], tokens [batch]) of log-mel features [batch, frames, 80] with `lengths` frames."""
    with torch.autocast("cpu", enabled=False):  # these convolutions are slower in bfloat16, and fastest channels last
        x = encoder.encoder_embedding(features)[:, None].to(memory_format=torch.channels_last)
        x = _zero_from(x, lengths)
        for layer in encoder.embed.conv:
            x = layer(x)
            if isinstance(layer, nn.Conv2d) and layer.stride[0] == 2:
                lengths = (lengths + 1) // 2
            elif not isinstance(layer, nn.Conv2d):
                x = _zero_from(x, lengths)
    batch, _, tokens, _ = x.shape
    x = encoder.embed.out(x.transpose(1, 2).reshape(batch, tokens, -1))
    valid = torch.arange(tokens) < lengths[:, None]
    bias = encoder.relative_attention_bias_layer(x)
    mask = torch.where(valid[:, None, None, :], bias, torch.finfo(torch.float32).min)
    for layer in encoder.encoders:
        x = layer(x, mask.to(x.dtype))
    return x, lengths


def _zero_from(x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """[batch, channels, time, bands] with zeros from each clip's end on."""
    return x * (torch.arange(x.shape[2]) < lengths[:, None])[:, None, :, None]
