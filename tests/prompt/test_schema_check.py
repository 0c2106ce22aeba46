import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.prompt.schema_check import satisfies
from tests.prompt.random_schemas import random_schema

VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-60, 60),
        st.sampled_from([0.5, 1.0, -3.25, 2.5]),
        st.sampled_from(["", "a", "abc", "é", 'b "q"', "a-1"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["city", "days", "unit", "ort", "next", "extra"]), inner, max_size=3),
    ),
    max_leaves=6,
)
SCHEMAS = [
    True,
    False,
    {},
    {"type": ["string", "null"]},
    {"const": 1},
    {"const": {"a": [1, True]}},
    {"enum": [0, False, "a"]},
    {"type": "string", "minLength": 1, "pattern": "^a"},
    {"multipleOf": 0.25},
    {"exclusiveMinimum": 0, "maximum": 2.5},
    {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]},
    {"oneOf": [{"type": "integer"}, {"minimum": 0}]},
    {"allOf": [{"required": ["city"]}, {"properties": {"city": {"type": "string"}}}]},
    {"type": "array", "prefixItems": [{"type": "integer"}], "items": {"type": "string"}},
    {"type": "object", "patternProperties": {"^c": {"type": "string"}}, "additionalProperties": {"type": "null"}},
    {"type": "object", "minProperties": 1, "maxProperties": 2, "required": ["city"]},
    {
        "$ref": "#/$defs/n~1ode",
        "$defs": {
            "n/ode": {"type": "object", "properties": {"next": {"$ref": "#/$defs/n~1ode"}}, "required": ["days"]}
        },
    },
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
@given(value=VALUES)
@settings(max_examples=60, deadline=None)
def test_the_verdict_is_that_of_the_reference_validator(schema, value) -> None:
    assert satisfies(value, schema) == jsonschema.Draft202012Validator(schema).is_valid(value)


@given(seed=st.integers(0, 10_000), value=VALUES)
@settings(max_examples=200, deadline=None)
def test_the_verdict_on_random_schemas_is_that_of_the_reference_validator(seed: int, value) -> None:
    schema = random_schema(np.random.default_rng(seed))
    assert satisfies(value, schema) == jsonschema.Draft202012Validator(schema).is_valid(value)


@pytest.mark.parametrize(
    "schema", [{"$ref": "#"}, {"$ref": "#/nowhere"}, {"$ref": "http://x/y"}, {"anyOf": [{"$ref": "#"}] * 9}]
)
def test_references_that_lead_nowhere_are_never_satisfied(schema) -> None:
    assert not satisfies({}, schema)
