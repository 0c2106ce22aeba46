"""From logits to one token. Pure numpy; the same seed and logits always give the same token."""

import math
from dataclasses import dataclass, field

import numpy as np

from edge.errors import UsageError

GREEDY_BELOW = 1e-5


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """Defaults are greedy. Filters apply in the order top-k, top-p, min-p, after the temperature."""

    temperature: float = 0.0
    top_k: int = 0
    """Keep the k most probable tokens; 0 keeps all."""
    top_p: float = 1.0
    """Keep the smallest set of tokens whose probabilities sum to at least this."""
    min_p: float = 0.0
    """Drop tokens less probable than this fraction of the most probable one."""
    repetition_penalty: float = 1.0
    """Divides positive and multiplies negative logits of tokens that occurred (arXiv 1909.05858, 4.1)."""
    seed: int | None = None
    logprobs: int | None = None
    """Report log-probabilities with this many alternatives; None reports none."""

    def __post_init__(self) -> None:
        _check("temperature", self.temperature, 0.0, 100.0)
        _check("top_k", self.top_k, 0, 1 << 22)
        _check("top_p", self.top_p, 0.0, 1.0, open_low=True)
        _check("min_p", self.min_p, 0.0, 1.0)
        _check("repetition_penalty", self.repetition_penalty, 0.01, 100.0)
        _check("logprobs", self.logprobs or 0, 0, 20)
        if self.seed is not None:
            _check("seed", self.seed, 0, (1 << 63) - 1)


def _check(name: str, value: float, low: float, high: float, open_low: bool = False) -> None:
    flag = "--" + name.replace("_", "-")
    if not math.isfinite(value) or not low <= value <= high or (open_low and value == low):
        bounds = f"more than {low} and at most {high}" if open_low else f"between {low} and {high}"
        raise UsageError(f"{flag} is {value}, it must be {bounds}", "see  edge run --help")


@dataclass(slots=True)
class Sampler:
    """Keeps the random state and the tokens seen, for the repetition penalty."""

    options: SamplingOptions
    _random: np.random.Generator = field(init=False)
    _seen: set[int] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(self.options.seed)

    def observe(self, tokens: list[int]) -> None:
        """Tokens that count as having occurred (the prompt, and each sampled token)."""
        self._seen.update(tokens)

    def pick(self, logits: np.ndarray) -> int:
        """A token for logits float32 [vocab], which this call may change. -inf forbids a token."""
        options = self.options
        if options.repetition_penalty != 1.0 and self._seen:
            seen = np.fromiter(self._seen, np.int64)
            values, penalty = logits[seen], options.repetition_penalty
            logits[seen] = np.where(values > 0, values / penalty, values * penalty)
        if options.temperature < GREEDY_BELOW:
            return int(logits.argmax())
        tokens, probabilities = self._filtered(logits)
        return int(tokens[np.searchsorted(probabilities.cumsum(), self._random.random() * probabilities.sum())])

    def _filtered(self, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Candidate tokens, most probable first, with unnormalised float64 probabilities."""
        options = self.options
        scaled = (logits.astype(np.float64) - logits.max()) / options.temperature
        if options.top_k and options.top_k < len(logits):
            tokens = np.argpartition(scaled, -options.top_k)[-options.top_k :]
        else:
            # anything below this cannot change a float64 sum; it keeps the sort short on large vocabularies
            tokens = np.flatnonzero(scaled > -40.0)
        tokens = tokens[np.argsort(-scaled[tokens], kind="stable")]
        probabilities = np.exp(scaled[tokens])
        probabilities /= probabilities.sum()
        keep = len(tokens)
        if options.top_p < 1.0:
            keep = int(np.searchsorted(probabilities.cumsum(), options.top_p)) + 1
        if options.min_p:
            keep = min(keep, int(np.count_nonzero(probabilities >= options.min_p * probabilities[0])))
        return tokens[:keep], probabilities[:keep]


def log_probabilities(logits: np.ndarray) -> np.ndarray:
    """Natural-log softmax, float64 [vocab]."""
    shifted = logits.astype(np.float64) - logits.max()
    return shifted - np.log(np.exp(shifted).sum())


def top_logprobs(logits: np.ndarray, token: int, count: int) -> tuple[float, tuple[tuple[int, float], ...]]:
    """The token's log-probability and the `count` best (token, log-probability) pairs."""
    values = log_probabilities(logits)
    best = np.argsort(-values, kind="stable")[:count]
    return float(values[token]), tuple((int(index), float(values[index])) for index in best)
