"""Whether a bundle is loaded for another processor than the CPU. Costs nothing when it is not."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from edge.bundle.bundle import Bundle
from edge.bundle.manifest import FIXED

if TYPE_CHECKING:
    from edge.providers.processor import Processor

CPU = "cpu"


def open_processor(
    bundle: Bundle, mode: str, ep: str, required: bool, threads: int, tell: Callable[[str], None]
) -> "Processor | None":
    """None is the CPU; `edge.providers.choice.choose` says when. Raises DeviceError."""
    if ep == CPU or not (ep or any(name.startswith(FIXED) for name in bundle.manifest.graphs)):
        return None
    from edge.providers.choice import choose
    from edge.providers.processor import Processor

    choice = choose(bundle, mode, ep, required, threads, tell)
    return Processor(bundle, choice.plugin, choice.parts, threads) if choice else None
