"""AdamW, and Muon for the matrices inside encoders, at a constant rate between a warm-up and a decay; and what a run
remembers to go on after a stop.

The rate does not depend on how long the run will be until its last fifth, so a run can be prolonged.
"""

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

WARM_UP = 200  # steps
DECAY = 0.2  # of all steps
CLIP = 1.0
TOLD, SAVED = 50, 250  # steps


@dataclass(slots=True)
class Run:
    """One stage's optimisers, its step of `steps`, and the lines for the plot; kept in `path`."""

    path: Path
    modules: dict[str, Any]
    parameters: list[torch.nn.Parameter]
    steps: int
    rate: float
    matrices: list[torch.nn.Parameter] = field(default_factory=list)
    step: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    optimisers: list[torch.optim.Optimizer] = field(init=False)

    def __post_init__(self) -> None:
        apart = {id(p) for p in self.matrices}
        rest = [p for p in self.parameters if id(p) not in apart]
        decayed = [p for p in rest if p.ndim > 1]
        others = [p for p in rest if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}]
        self.optimisers = [torch.optim.AdamW(groups, lr=self.rate, betas=(0.9, 0.98))]
        if self.matrices:  # the same length of step as AdamW's
            self.optimisers.append(
                torch.optim.Muon(self.matrices, lr=self.rate, weight_decay=0.02, adjust_lr_fn="match_rms_adamw")
            )
        if self.path.exists():
            self._load()

    def update(self, loss: torch.Tensor) -> None:
        """One step down the gradient of `loss`."""
        warm, left = (self.step + 1) / WARM_UP, (self.steps - self.step) / (DECAY * self.steps)
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
            for group in optimiser.param_groups:
                group["lr"] = self.rate * max(0.02, min(1.0, warm, left))
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, CLIP)
        if torch.isfinite(norm):
            for optimiser in self.optimisers:
                optimiser.step()
        self.step += 1

    def tell(self, stage: str, began: float, figures: dict[str, float]) -> None:
        """After a step that began at time.perf_counter() `began`: now and then a line, and the state on disk."""
        self.seconds += time.perf_counter() - began
        if self.step % TOLD == 0:
            self.history.append({"step": self.step, "seconds": self.seconds} | figures)
            shown = "  ".join(f"{name} {figure:.3f}" for name, figure in figures.items())
            print(f"{stage} {self.step}/{self.steps}  {shown}  {self.seconds:.0f} s", flush=True)
        if self.step % SAVED == 0:
            self.save()

    def save(self) -> None:
        """Into a file beside, then renamed: a kill leaves the last one."""
        state = {name: module.state_dict() for name, module in self.modules.items()}
        kept = {"step": self.step, "seconds": self.seconds, "history": self.history}
        beside = self.path.with_suffix(".new")
        optimisers = [optimiser.state_dict() for optimiser in self.optimisers]
        torch.save({"modules": state, "optimisers": optimisers, **kept}, beside)
        beside.replace(self.path)
        log = self.path.with_suffix(".jsonl")
        log.write_text("".join(json.dumps(line) + os.linesep for line in self.history))

    def _load(self) -> None:
        state = torch.load(self.path, weights_only=True)
        for name, module in self.modules.items():
            module.load_state_dict(state["modules"][name])
        for optimiser, kept in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(kept)
        self.step, self.seconds, self.history = state["step"], state["seconds"], state["history"]
