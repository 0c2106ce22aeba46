"""AdamW at a constant rate between a warm-up and a decay, and what a run remembers to go on after a stop.

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
    """One stage's optimiser, its step of `steps`, and the lines for the plot; kept in `path`."""

    path: Path
    modules: dict[str, Any]
    parameters: list[torch.nn.Parameter]
    steps: int
    rate: float
    step: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    optimiser: torch.optim.AdamW = field(init=False)

    def __post_init__(self) -> None:
        decayed = [p for p in self.parameters if p.ndim > 1]
        others = [p for p in self.parameters if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=self.rate, betas=(0.9, 0.98))
        if self.path.exists():
            self._load()

    def update(self, loss: torch.Tensor) -> None:
        """One step down the gradient of `loss`."""
        warm, left = (self.step + 1) / WARM_UP, (self.steps - self.step) / (DECAY * self.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate * max(0.02, min(1.0, warm, left))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, CLIP)
        if torch.isfinite(norm):
            self.optimiser.step()
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
        torch.save({"modules": state, "optimiser": self.optimiser.state_dict(), **kept}, beside)
        beside.replace(self.path)
        log = self.path.with_suffix(".jsonl")
        log.write_text("".join(json.dumps(line) + os.linesep for line in self.history))

    def _load(self) -> None:
        state = torch.load(self.path, weights_only=True)
        for name, module in self.modules.items():
            module.load_state_dict(state["modules"][name])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds, self.history = state["step"], state["seconds"], state["history"]
