"""How one turn is to be answered."""

from dataclasses import dataclass, field
from typing import Any, Literal

from edge.bundle.manifest import Manifest
from edge.errors import UsageError
from edge.runtime.sampling import SamplingOptions

ToolChoice = Literal["auto", "required", "none"]
FINEST = "leave it out for the finest tiling"


@dataclass(frozen=True, slots=True)
class TurnOptions:
    """`max_tokens` None: until the answer or the context ends. `max_crops` bounds a picture's tokens; None: as many
    crops as the model was trained with, which is also the most that a turn may ask for."""

    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    tool_choice: ToolChoice = "auto"
    parallel_calls: bool = True
    schema: dict[str, Any] | None = None
    max_crops: int | None = None
    ttft_s: float | None = None
    """Seconds until the first token may come: fewer crops are taken where this machine would need longer."""

    def __post_init__(self) -> None:
        if self.max_tokens is not None and self.max_tokens < 1:
            raise UsageError(f"--max-tokens is {self.max_tokens}, it must be at least 1", "leave it out for no limit")
        if self.max_crops is not None and self.max_crops < 1:
            raise UsageError(f"--max-crops is {self.max_crops}, it must be at least 1", FINEST)
        if self.ttft_s is not None and not self.ttft_s > 0:
            raise UsageError(f"--ttft is {self.ttft_s:g}, it must be above 0 seconds", "try  --ttft 10")

    def check_for(self, manifest: Manifest) -> None:
        """Raises UsageError for what this model cannot do."""
        if manifest.vision and (self.max_crops or 0) > manifest.vision.max_crops:
            raise UsageError(
                f"--max-crops is {self.max_crops}, but {manifest.name} sees at most {manifest.vision.max_crops} crops",
                FINEST,
            )
