"""Are two greedy answers the same, and if not: was the token where they part all but a tie?"""

from dataclasses import dataclass

from benchmarks.arm64.answers import Answer

TIE = 0.2
"""Nats between two tokens that int8 activations, rounded by another kernel, may put in another order."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """`equal` of `tokens` are the same from the start; `gap` is how far the reference ranked the other's token behind
    its own where they part (infinite: not among its best), None if they never do, and `gap_there` the same seen from
    the other; `drift` is the largest change of a chosen token's log probability up to there."""

    equal: int
    tokens: int
    gap: float | None
    drift: float
    gap_there: float = 0.0

    @property
    def ok(self) -> bool:
        return self.gap is None or max(self.gap, self.gap_there) <= TIE

    def __str__(self) -> str:
        if self.gap is None:
            return f"same ({self.tokens})"
        kind = "tied" if self.ok else "NOT tied"
        return f"{self.equal} of {self.tokens}, then {kind} ({self.gap:.3f}, {self.gap_there:.3f})"


def compare(reference: Answer, other: Answer) -> Comparison:
    """Both as they were chosen greedily from the same prompt."""
    drift = 0.0
    for at, ((token, top), (others, others_top)) in enumerate(zip(reference.tokens, other.tokens, strict=False)):
        if token != others:
            gap = top[token] - top.get(others, -float("inf"))
            gap_there = others_top[others] - others_top.get(token, -float("inf"))
            return Comparison(at, len(reference.tokens), gap, drift, gap_there)
        drift = max(drift, abs(top[token] - others_top[token]))
    same = len(reference.tokens) == len(other.tokens) and reference.calls == other.calls
    return Comparison(len(reference.tokens), len(reference.tokens), None if same else float("inf"), drift)
