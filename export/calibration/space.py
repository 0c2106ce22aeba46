"""What calibration and measurement write on the way is known before they begin, and so is whether there is room."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edge.bundle.files import require_space
from export.calibration.flow import KINDS

if TYPE_CHECKING:
    from export.plan import ExportPlan


def require_scratch(plan: "ExportPlan", folder: Path, tokens: int, encoders: Sequence[int], more: int = 0) -> None:
    """Raises ResourceError when `folder` has no room for flows of `tokens` tokens, copies of the encoders with so many
    bits a weight, and `more` bytes; what an earlier run left there is reused."""
    spec = plan.spec
    # a layer begins with files that stay until the next one's are whole
    widths = 2 * spec.hidden_size + max(spec.qkv_rows[0], spec.intermediate_size)
    weights = sum(w.source.rows * max(1, w.source.columns) for w in plan.weights if w.source.group in ENCODERS)
    needed = tokens * widths * 4 * len(KINDS) + weights * sum(encoders) // 8 + more
    there = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    require_space(folder, max(0, needed - there), f"measuring {plan.checkpoint.path.name} with {tokens:,} tokens")


ENCODERS = ("speech", "vision")
"""Their groups in the table of weights."""
