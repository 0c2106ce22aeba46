"""Rotary frequencies are those of transformers, for every rope type and both spellings of the config."""

import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edge.bundle.manifest import Rotary
from edge.errors import CheckpointError
from export.architectures import read_spec
from tests.checkpoints import ROTARY_PAIRS, config

LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 128,
}
LONGROPE = {
    "rope_type": "longrope",
    "short_factor": [1.0 + 0.01 * i for i in range(ROTARY_PAIRS)],
    "long_factor": [1.0 + i for i in range(ROTARY_PAIRS)],
}
TOP = "original_max_position_embeddings"

OLD: dict[str, tuple[str, dict[str, Any]]] = {
    "default": ("llama", {"rope_theta": 500000.0}),
    "no theta at all": ("granite", {"rope_theta": None}),
    "null scaling": ("llama", {"rope_scaling": None}),
    "linear": ("llama", {"rope_scaling": {"rope_type": "linear", "factor": 3.0}}),
    "linear, as 'type'": ("llama", {"rope_scaling": {"type": "linear", "factor": 2.5}}),
    "llama3": ("llama", {"rope_theta": 500000.0, "rope_scaling": LLAMA3, "max_position_embeddings": 1024}),
    "longrope": ("phi3", {}),
    "longrope with a factor": ("phi3", {"rope_scaling": {**LONGROPE, "factor": 32.0}}),
    "longrope with an attention factor": ("phi3", {"rope_scaling": {**LONGROPE, "attention_factor": 1.25}}),
    "longrope, original inside": ("phi3", {"rope_scaling": {**LONGROPE, TOP: 128}, TOP: None}),
    "longrope whose context is not longer": ("phi3", {TOP: 512}),
    "partial rotary without scaling": ("phi3", {"rope_scaling": None}),
}


class NoWeights:
    """As much of a checkpoint as its config."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.config = values
        self.generation_config: dict[str, Any] = {}


def ours(values: dict[str, Any]) -> Rotary:
    return read_spec(NoWeights(values)).rotary  # type: ignore[arg-type]


def hugging_face(values: dict[str, Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers import AutoConfig
        from transformers.utils import logging

        logging.set_verbosity_error()
        return AutoConfig.for_model(**{key: value for key, value in values.items() if value is not None})


def theirs(values: dict[str, Any], length: int = 1) -> tuple[np.ndarray, float]:
    """(inverse frequencies, attention factor) for sequences of `length`."""
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    made = hugging_face(values)
    kind = made.rope_parameters["rope_type"]
    if kind == "default":
        parameters = SimpleNamespace(**made.rope_parameters)
        head = getattr(made, "head_dim", None) or made.hidden_size // made.num_attention_heads
        dim = int(head * getattr(parameters, "partial_rotary_factor", 1.0))
        return 1.0 / parameters.rope_theta ** (np.arange(0, dim, 2) / dim), 1.0
    frequencies, factor = ROPE_INIT_FUNCTIONS[kind](made, "cpu", seq_len=length)
    return frequencies.numpy(), factor


def new_spelling(values: dict[str, Any]) -> dict[str, Any]:
    """The same config as transformers writes it today: everything under rope_parameters."""
    written = hugging_face(values).to_dict()
    assert "rope_parameters" in written and "rope_scaling" not in written
    return {key: value for key, value in written.items() if key in values or key == "rope_parameters"} | {
        "model_type": values["model_type"]
    }


@pytest.mark.parametrize("spelling", ["old", "new"])
@pytest.mark.parametrize("case", OLD)
def test_frequencies_and_attention_factor_are_those_of_transformers(case: str, spelling: str) -> None:
    model_type, changes = OLD[case]
    values = config(model_type, **changes)
    frequencies, factor = theirs(values)
    rotary = ours(values if spelling == "old" else new_spelling(values))
    np.testing.assert_allclose(rotary.inv_freq, frequencies, rtol=1e-6)
    assert rotary.attention_factor == pytest.approx(factor, rel=1e-12)
    assert rotary.dim == 2 * len(frequencies)
    if rotary.long_inv_freq:
        longer, factor = theirs(values, length=rotary.original_context + 1)
        np.testing.assert_allclose(rotary.long_inv_freq, longer, rtol=1e-6)
        assert rotary.attention_factor == pytest.approx(factor, rel=1e-12)
    assert bool(rotary.long_inv_freq) == (model_type == "phi3" and values["rope_scaling"] is not None)


def test_phi4_mini_has_the_published_attention_factor() -> None:
    values = config("phi3", max_position_embeddings=131072, original_max_position_embeddings=4096)
    assert ours(values).attention_factor == pytest.approx(1.1902380714238083, abs=1e-12)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rope_type": "yarn", "factor": 4.0}, "'yarn' is not supported"),
        ({"rope_type": "dynamic", "factor": 4.0}, "'dynamic' is not supported"),
        ({"rope_type": ["linear"]}, "is not supported"),
        ({"rope_type": "linear"}, "has no factor"),
        ({**LLAMA3, "high_freq_factor": 1.0}, "high_freq_factor 1.0 is not above low_freq_factor 1.0"),
        ({**LLAMA3, "low_freq_factor": None}, "has no low_freq_factor"),
        ({**LLAMA3, TOP: 0}, f"{TOP} is 0"),
        ({**LONGROPE, TOP: 1}, f"{TOP} is 1"),
        ({**LONGROPE, TOP: 64, "short_factor": [1.0]}, "short_factor has 1 entries, expected"),
        ({**LONGROPE, TOP: 64, "long_factor": [0.0] * 16, "short_factor": [1.0] * 16}, "contains 0.0"),
    ],
)
def test_a_rope_section_that_makes_no_sense_is_refused_by_name(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(CheckpointError) as raised:
        ours(config("llama", rope_scaling=changes))
    assert words in str(raised.value)
    assert str(raised.value).startswith("config.json: rope_scaling")
