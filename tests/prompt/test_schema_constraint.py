import json

import jsonschema
import numpy as np
import pytest

from edge.errors import InputError
from edge.prompt.schema_constraint import load_schema, schema_constraint
from tests.prompt.random_schemas import random_object
from tests.prompt.sampling import PADDING_ROWS, allowed, sample, vocab

PHI4 = vocab("phi4")


def nested(depth: int) -> dict:
    schema: dict = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


@pytest.mark.parametrize("seed", range(60))
def test_every_finished_random_answer_is_valid_under_its_schema(seed: int) -> None:
    rng = np.random.default_rng(seed)
    schema = random_object(rng, 2)
    ids = sample(schema_constraint(PHI4, schema), PHI4, rng)
    assert ids is not None, f"seed {seed}"
    text = PHI4.tokenizer.decode(ids, skip_special=False)
    jsonschema.validate(json.loads(text), schema)
    assert "\n" not in text


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/n", "$defs": {"n": {"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}}}},
        {"type": "string", "pattern": "^(a+)+b$"},
        {"type": "array", "items": {"type": "integer", "maximum": 9, "minimum": 0}, "maxItems": 10**9},
        {"enum": [f"v{i}" for i in range(2000)]},
        {"type": "string", "format": "date"},
        {"type": "integer", "multipleOf": 7, "minimum": 0, "maximum": 99},
        {"type": "boolean"},
    ],
    ids=lambda schema: str(schema)[:40],
)
def test_demanding_schemas_work(schema: dict) -> None:
    rng = np.random.default_rng(3)
    ids = sample(schema_constraint(PHI4, schema), PHI4, rng, limit=4000)
    assert ids is not None
    jsonschema.validate(json.loads(PHI4.tokenizer.decode(ids)), schema)


# The multipleOf alone would take the grammar compiler hours.
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        ({"type": "object", "properties": {"a/b": {"not": {}}}}, "/properties/a~1b"),
        ({"properties": {"a": {"type": "array", "items": {"type": "widget"}}}}, "at /properties/a/items"),
        ({"type": "integer", "minimum": 5, "maximum": 1}, "at its root"),
        ({"properties": {"a": {"type": "string", "pattern": "(?=x)y"}}}, "/properties/a"),
        (
            {"$defs": {"x": {"type": "object", "contains": {}}}, "properties": {"v": {"$ref": "#/$defs/x"}}},
            r"at /\$defs/x",
        ),
        ({"$ref": "#/$defs/missing"}, "root"),
        ({"enum": [f"a long value {i}" for i in range(200_000)]}, "root"),
        ({"type": "integer", "multipleOf": 99_999_999}, "longer than 1 s"),
        (nested(200), "nested more than 64"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_schema_that_cannot_be_enforced_is_refused_with_the_place(schema: dict, pointer: str) -> None:
    with pytest.raises(InputError, match=pointer):
        schema_constraint(PHI4, schema)


def test_padding_rows_and_special_tokens_are_never_allowed_inside_json() -> None:
    constraint = schema_constraint(PHI4, {"type": "string"})
    for token in PHI4.tokenizer.encode_text('"a'):
        constraint.accept(token)
    choices = allowed(constraint, PHI4)
    added = {token.id for token in PHI4.tokenizer.added.values()}
    assert added.isdisjoint(choices.tolist()) and choices.max() < PHI4.tokenizer.vocab_size
    assert len(choices) > 50 and PADDING_ROWS > 0


def test_allowed_logits_are_left_as_they_are() -> None:
    constraint = schema_constraint(PHI4, {"type": "boolean"})
    before = np.random.default_rng(0).normal(size=PHI4.tokenizer.vocab_size).astype(np.float32)
    after = before.copy()
    constraint.apply(after)
    kept = np.isfinite(after)
    assert 0 < kept.sum() < 10 and (after[kept] == before[kept]).all()


def test_only_stop_tokens_are_left_when_the_value_is_complete_and_all_of_them_count() -> None:
    for stop in PHI4.stop:
        constraint = schema_constraint(PHI4, {"const": True})
        for token in PHI4.tokenizer.encode_text("true"):
            assert not constraint.may_stop
            constraint.accept(token)
        assert constraint.may_stop
        assert sorted(allowed(constraint, PHI4)) == sorted(PHI4.stop)
        constraint.accept(stop)
        assert constraint.finished


def test_a_forbidden_token_is_refused() -> None:
    constraint = schema_constraint(PHI4, {"type": "boolean"})
    with pytest.raises(InputError):
        constraint.accept(PHI4.tokenizer.encode_text("x")[0])


def test_a_schema_file_is_read_within_limits(tmp_path) -> None:
    path = tmp_path / "schema.json"
    with pytest.raises(InputError, match="cannot be read"):
        load_schema(path)
    path.write_text("[1]")
    with pytest.raises(InputError, match="not a JSON object"):
        load_schema(path)
    path.write_text(" " * (5 << 20))
    with pytest.raises(InputError, match="limit"):
        load_schema(path)
    path.write_text('{"type": "integer"}')
    assert load_schema(path) == {"type": "integer"}
