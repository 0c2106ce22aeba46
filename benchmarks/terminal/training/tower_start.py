"""A start from which a vision transformer learns with few pictures: neighbours already look at each other.

After Trockman and Kolter, Mimetic Initialization of Self-Attention Layers (2023): positions are sines and cosines,
the product of query and key is near the identity, so that a patch attends to patches like it and near it, and that of
value and output is near its negative.
"""

import math

import torch
from torch import nn


def start_tower(tower: nn.Module) -> None:
    """Sets positions, attention and the patch convolution of a SigLIP tower."""
    embeddings = tower.embeddings
    width = embeddings.position_embedding.embedding_dim
    embeddings.position_embedding.weight.data.copy_(grid_waves(embeddings.num_patches_per_side, width))
    patch = embeddings.patch_embedding
    nn.init.normal_(patch.weight, std=math.sqrt(1 / patch.weight[0].numel()))
    for layer in tower.encoder.layers:
        attention = layer.self_attn
        attention.is_causal = False  # the port's SDPA call would be causal, the original is not
        for head in range(attention.num_heads):
            rows = slice(head * attention.head_dim, (head + 1) * attention.head_dim)
            query, key = _factors(_near(0.7, 0.7, width), attention.head_dim)
            attention.q_proj.weight.data[rows], attention.k_proj.weight.data[rows] = query.T, key
        value, out = _factors(_near(0.4, -0.4, width), width)
        attention.v_proj.weight.data.copy_(out)
        attention.out_proj.weight.data.copy_(value)


def grid_waves(side: int, width: int) -> torch.Tensor:
    """float32 [side², width]: a quarter of the width each for sine and cosine of row and column, wavelengths from 4
    patches to 16 sides."""
    frequencies = 2 * math.pi / torch.logspace(math.log10(4), math.log10(16 * side), width // 4)
    phase = torch.arange(side)[:, None] * frequencies
    waves = torch.cat([phase.sin(), phase.cos()], 1)
    rows, columns = waves[:, None].expand(-1, side, -1), waves[None].expand(side, -1, -1)
    return 0.5 * torch.cat([rows, columns], 2).reshape(side * side, width)


def _near(noise: float, identity: float, width: int) -> torch.Tensor:
    return noise * torch.randn(width, width) / math.sqrt(width) + identity * torch.eye(width)


def _factors(matrix: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    """[width, rank] and [rank, width] whose product is the best approximation of that rank."""
    u, s, v = torch.linalg.svd(matrix)
    root = s[:rank].sqrt()
    return u[:, :rank] * root, root[:, None] * v[:rank]
