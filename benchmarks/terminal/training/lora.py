"""LoRA on every linear layer of the decoder, one adapter per modality, the base frozen."""

import math

import torch
from torch import nn

from benchmarks.terminal.training.model import RANKS

TARGETS = ("qkv_proj", "o_proj", "gate_up_proj", "down_proj")


class AdaptedLinear(nn.Module):
    """`base(x)` + 2·B·A·x of the adapter that is `active`, if any (alpha / rank = 2)."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base
        self.active: str | None = None
        self.a = nn.ModuleDict({n: nn.Linear(base.in_features, rank, bias=False) for n, rank in RANKS.items()})
        self.b = nn.ModuleDict({n: nn.Linear(rank, base.out_features, bias=False) for n, rank in RANKS.items()})
        for name in RANKS:
            nn.init.kaiming_uniform_(self.a[name].weight, a=math.sqrt(5))
            nn.init.zeros_(self.b[name].weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.base(x)
        return y if self.active is None else y + 2 * self.b[self.active](self.a[self.active](x))


def adapt(model: nn.Module) -> list[AdaptedLinear]:
    """Replaces the decoder's linear layers; the base weights keep their values."""
    adapted = []
    for layer in model.model.layers:
        for block in (layer.self_attn, layer.mlp):
            for name in TARGETS:
                if isinstance(linear := getattr(block, name, None), nn.Linear):
                    setattr(block, name, AdaptedLinear(linear))
                    adapted.append(getattr(block, name))
    return adapted


def use(model: nn.Module, adapter: str | None) -> None:
    """Switches every layer to one adapter, or to the bare base."""
    for module in model.modules():
        if isinstance(module, AdaptedLinear):
            module.active = adapter


def adapter_parameters(model: nn.Module, adapter: str) -> list[nn.Parameter]:
    layers = [m for m in model.modules() if isinstance(m, AdaptedLinear)]
    return [p for layer in layers for p in (layer.a[adapter].weight, layer.b[adapter].weight)]


def adapter_layers(model: nn.Module, adapter: str) -> dict[str, nn.Module]:
    """The A and B of every layer, named, for a run's file."""
    layers = [m for m in model.modules() if isinstance(m, AdaptedLinear)]
    return {f"lora{i}.{side}": getattr(m, side)[adapter] for i, m in enumerate(layers) for side in ("a", "b")}
