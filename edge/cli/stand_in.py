"""The embedded bundle says what it is, so that nobody takes its answers for the real model's."""

import sys
from typing import TYPE_CHECKING

from edge.cli.console import say

if TYPE_CHECKING:
    from edge.bundle.bundle import Bundle

REAL = "microsoft/Phi-4-multimodal-instruct"
INTRODUCTION = (
    "terminal: a tiny stand-in, trained for a factory terminal\n"
    f"  the real model: edge pull {REAL} phi-4-mm && edge export phi-4-mm phi-4-mm-int4"
)


def introduce(bundle: "Bundle") -> None:
    """Two lines on stderr for the embedded bundle, when a person is there to read them."""
    from edge.bundle.embedded import EMBEDDED

    if bundle.path == EMBEDDED and sys.stderr.isatty():
        say(INTRODUCTION)
