"""phi-edge: the runtime on the device.

model = edge.load()  # the embedded stand-in; or the name or directory of a bundle
for event in model.conversation().generate("Read the display.", images=["display.jpg"]):
    if isinstance(event, edge.TextDelta):
        print(event.text, end="")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge.conversation import Conversation
    from edge.errors import EdgeError
    from edge.events import (
        Done,
        Encode,
        LongContext,
        ModeSwitch,
        Prefill,
        Reprefill,
        TextDelta,
        TokenLogprob,
        ToolCall,
        Usage,
    )
    from edge.model import Model, load
    from edge.prompt.tools import Tool, load_tools
    from edge.runtime.sampling import SamplingOptions
    from edge.turn_options import TurnOptions

__version__ = "0.1.0"

_HOMES = {
    "Conversation": "edge.conversation",
    "Done": "edge.events",
    "EdgeError": "edge.errors",
    "Encode": "edge.events",
    "LongContext": "edge.events",
    "ModeSwitch": "edge.events",
    "Model": "edge.model",
    "Prefill": "edge.events",
    "Reprefill": "edge.events",
    "SamplingOptions": "edge.runtime.sampling",
    "TextDelta": "edge.events",
    "TokenLogprob": "edge.events",
    "Tiling": "edge.events",
    "Tool": "edge.prompt.tools",
    "ToolCall": "edge.events",
    "TurnOptions": "edge.turn_options",
    "Usage": "edge.events",
    "load": "edge.model",
    "load_tools": "edge.prompt.tools",
}

__all__ = [
    "Conversation",
    "Done",
    "EdgeError",
    "Encode",
    "LongContext",
    "ModeSwitch",
    "Model",
    "Prefill",
    "Reprefill",
    "SamplingOptions",
    "TextDelta",
    "Tiling",
    "TokenLogprob",
    "Tool",
    "ToolCall",
    "TurnOptions",
    "Usage",
    "load",
    "load_tools",
]


def __getattr__(name: str) -> Any:
    """Public names are imported on first use, so that `edge --help` does not load onnxruntime.

    Raises ResourceError on a CPU that the native libraries behind them would crash on.
    """
    if name not in _HOMES:
        raise AttributeError(f"module 'edge' has no attribute {name!r}")
    if name != "EdgeError":
        import_module("edge.cpu").require_cpu()
    return getattr(import_module(_HOMES[name]), name)
