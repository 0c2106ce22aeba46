"""What is fixed in graphs of fixed shapes."""

from dataclasses import dataclass

from edge.errors import CheckpointError, UsageError
from export.architectures.spec import DecoderSpec

SMALLEST, LARGEST = 128, 131_072
"""Tokens of a window; a device tries a processor with fewer than the smallest holds."""


@dataclass(frozen=True, slots=True)
class FixedShapes:
    """A conversation of at most `window` tokens, read `chunk` at a time; `frames` of speech (80 ms each) are encoded
    and `rows` projected at once. What is longer is computed on the CPU."""

    window: int = 2048
    chunk: int = 64
    frames: int = 500
    rows: int = 256

    def __post_init__(self) -> None:
        """Raises UsageError."""
        if not SMALLEST <= self.window <= LARGEST:
            raise UsageError(
                f"a window of {self.window:,} tokens cannot be had, only {SMALLEST} to {LARGEST:,}", "use --window 2048"
            )

    def check(self, spec: DecoderSpec) -> None:
        """Raises CheckpointError when tokens within the window must not see each other."""
        if 0 < spec.sliding_window < self.window + self.chunk:
            raise CheckpointError(
                f"the model looks back {spec.sliding_window} tokens only, which fixed graphs cannot do",
                "export without --target qnn",
            )
