"""An int8 bundle chooses the tokens that transformers chooses in float32, on models that have learned something."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.options import ExportOptions
from tests.checkpoints import random_checkpoint
from tests.export.exported import decoder, export
from tests.export.reference import reference_logits, reference_model
from tests.export.toy_language import learn, save_weights, sentences

SENTENCES, LENGTH = 20, 60


@pytest.fixture(scope="module", params=["phi3", "llama", "granite"])
def taught(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """(checkpoint with a tied embedding, the same model in transformers)."""
    checkpoint = random_checkpoint(
        tmp_path_factory.mktemp("taught") / request.param, request.param, num_hidden_layers=2
    )
    model = reference_model(checkpoint)
    learn(model)
    save_weights(model, checkpoint)
    return checkpoint, model


@pytest.mark.parametrize("block", [32, 128])
def test_int8_chooses_the_same_token_in_99_of_100_places(taught: tuple[Path, Any], block: int, tmp_path: Path) -> None:
    checkpoint, model = taught
    ours = decoder(export(checkpoint, tmp_path / "int8", ExportOptions(bits=8, block=block)))
    ours.reserve(LENGTH)
    agree, right = [], []
    for ids in sentences(SENTENCES, LENGTH, seed=1 << 20).tolist():
        ours.rewind(0)
        chosen = ours.prefill(ids, list(range(LENGTH))).argmax(axis=1)
        expected = reference_logits(model, ids).argmax(axis=1)
        agree.append(chosen[1:] == expected[1:])  # nothing can be known after a single token
        right.append(expected[1:-1] == np.array(ids[2:]))
    assert np.concatenate(agree).size >= 1000
    assert np.mean(right) >= 0.7, "the reference has not learned the language, so agreement would say nothing"
    assert np.mean(agree) >= 0.99
