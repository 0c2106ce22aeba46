"""A float32 export computes what transformers computes: every logit of a prefill in chunks and a long decode."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.events import Reprefill
from edge.runtime.decoder import Decoder
from edge.runtime.generate import Clock, Sampled, Sequence, generate
from edge.runtime.sampling import Sampler, SamplingOptions
from tests.checkpoints import ORIGINAL_CONTEXT, random_checkpoint
from tests.export.exported import float_decoder
from tests.export.reference import reference_logits, reference_model

TOLERANCE = 1e-3
STEPS = 64
LONG = {"original_max_position_embeddings": 256}
"""Keeps phi3 in its short regime for all of a test."""

MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "phi3": ("phi3", LONG),
    "phi3 with a sliding window": ("phi3", {**LONG, "sliding_window": 17}),
    "llama": ("llama", {}),
    "llama with untied embeddings": ("llama", {"tie_word_embeddings": False}),
    "llama with a key/value head for each head": ("llama", {"num_key_value_heads": 4}),
    "granite": ("granite", {}),
}


class Models:
    """Each checkpoint with its reference and its export, made once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.get = cache(self._make)

    def _make(self, name: str) -> tuple[Path, Any, Decoder]:
        model_type, changes = MODELS.get(name, ("phi3", {}))
        checkpoint = random_checkpoint(
            self._directory / name.replace(" ", "-").replace("/", "-"), model_type, **changes
        )
        return checkpoint, reference_model(checkpoint), float_decoder(checkpoint)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return Models(tmp_path_factory.mktemp("parity"))


def prompt(length: int, seed: int = 0) -> list[int]:
    return np.random.default_rng(seed).integers(0, 500, length).tolist()


def prefill_in_chunks(decoder: Decoder, ids: list[int], chunk: int) -> np.ndarray:
    """Logits of every position."""
    parts = [ids[start : start + chunk] for start in range(0, len(ids), chunk)]
    return np.concatenate([decoder.prefill(part, list(range(len(part)))) for part in parts])


@pytest.mark.parametrize("chunk", [1, 7, 16, 33])
@pytest.mark.parametrize("name", MODELS)
def test_every_logit_of_prefill_and_decode_is_that_of_transformers(models: Models, name: str, chunk: int) -> None:
    _, reference, decoder = models.get(name)
    ids = prompt(33)
    decoder.rewind(0)
    decoder.reserve(len(ids) + STEPS)
    rows = list(prefill_in_chunks(decoder, ids, chunk))
    for _ in range(STEPS):
        ids.append(int(rows[-1].argmax()))
        rows.append(decoder.step(ids[-1]).copy())
    assert np.abs(np.array(rows) - reference_logits(reference, ids)).max() <= TOLERANCE


def test_going_on_after_a_rewind_equals_a_fresh_prefill(models: Models) -> None:
    _, reference, decoder = models.get("llama")
    ids, other = prompt(40), prompt(25, seed=1)
    decoder.rewind(0)
    decoder.reserve(100)
    prefill_in_chunks(decoder, ids, 40)
    decoder.rewind(21)
    rows = prefill_in_chunks(decoder, other, 9)
    expected = reference_logits(reference, ids[:21] + other)[21:]
    assert np.abs(rows - expected).max() <= TOLERANCE


def test_a_sequence_reuses_the_common_prefix_and_answers_as_if_it_had_not(models: Models) -> None:
    _, reference, decoder = models.get("granite")
    decoder.rewind(0)
    sequence = Sequence(decoder)
    first, second = prompt(30), prompt(30)[:18] + prompt(20, seed=2)
    for ids, common in ((first, 0), (second, 18)):
        assert sequence.reuse(ids) == common
        logits, _ = answer(sequence, 5, bounded=True)
        expected = reference_logits(reference, sequence.ids)[len(ids) - 1 : -1]
        assert np.abs(logits - expected).max() <= TOLERANCE


class Recorder:
    """A logits filter that forbids nothing and keeps what it saw."""

    def __init__(self) -> None:
        self.rows: list[np.ndarray] = []

    def apply(self, logits: np.ndarray) -> None:
        self.rows.append(logits.copy())

    def accept(self, token: int) -> None:
        pass


def answer(sequence: Sequence, count: int, bounded: bool) -> tuple[np.ndarray, list[Any]]:
    """Greedy: logits [count, vocab] that the tokens were chosen from, and all events but the tokens."""
    recorder = Recorder()
    sampler = Sampler(SamplingOptions())
    items: Iterator[Any] = generate(sequence, sampler, frozenset(), count, bounded, None, recorder, Clock())
    events = [item for item in items if not isinstance(item, Sampled)]
    return np.array(recorder.rows), events


def test_crossing_the_original_context_prefills_once_more_and_stays_exact(models: Models) -> None:
    """transformers recomputes the whole sequence at each step here, as its own generate does at the crossing."""
    _, reference, decoder = models.get("crossing")
    start = ORIGINAL_CONTEXT - 20
    sequence = Sequence(decoder)
    sequence.reuse(prompt(start))
    logits, events = answer(sequence, STEPS, bounded=False)

    announced = [event for event in events if isinstance(event, Reprefill)]
    assert [event.tokens for event in announced] == [ORIGINAL_CONTEXT + 1]
    assert str(ORIGINAL_CONTEXT) in announced[0].reason
    for step, row in enumerate(logits):
        expected = reference_logits(reference, sequence.ids[: start + step])[-1]
        assert np.abs(row - expected).max() <= TOLERANCE, f"step {step}"


def test_an_answer_that_will_cross_uses_the_long_factors_from_its_first_token(models: Models) -> None:
    checkpoint, reference, decoder = models.get("crossing")
    scaling = {**reference.config.rope_parameters}
    scaling["short_factor"] = scaling["long_factor"]
    forced = reference_model(checkpoint, rope_scaling=scaling)
    assert forced.model.rotary_emb.attention_scaling == reference.model.rotary_emb.attention_scaling > 1

    start = ORIGINAL_CONTEXT - 20
    decoder.rewind(0)
    sequence = Sequence(decoder)
    sequence.reuse(prompt(start))
    logits, events = answer(sequence, STEPS, bounded=True)
    assert not [event for event in events if isinstance(event, Reprefill)]
    expected = reference_logits(forced, sequence.ids)[start - 1 : -1]
    assert np.abs(logits - expected).max() <= TOLERANCE
    short = reference_logits(reference, sequence.ids[:start])[-1]
    assert np.abs(logits[0] - short).max() > TOLERANCE, "the two regimes should differ in this fixture"


def test_a_bounded_answer_that_just_fits_stays_in_the_short_regime(models: Models) -> None:
    _, reference, decoder = models.get("crossing")
    decoder.rewind(0)
    sequence = Sequence(decoder)
    sequence.reuse(prompt(ORIGINAL_CONTEXT - 9))
    logits, _ = answer(sequence, 9, bounded=True)
    assert len(sequence.ids) == ORIGINAL_CONTEXT
    expected = reference_logits(reference, sequence.ids)[-10:-1]
    assert np.abs(logits - expected).max() <= TOLERANCE
