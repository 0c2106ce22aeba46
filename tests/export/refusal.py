"""A bad checkpoint must end as one clear sentence with a next step, and leave nothing behind."""

from pathlib import Path

import pytest

from edge.errors import CheckpointError
from export.exporter import run_export
from export.options import ExportOptions
from export.plan import plan_export


def refusal(checkpoint: Path) -> str:
    """The message of the CheckpointError that an export ends with."""
    place = checkpoint.parent / f"refused-{checkpoint.name}"
    place.mkdir()
    with pytest.raises(CheckpointError) as raised:
        run_export(plan_export(checkpoint, ExportOptions()), place / "bundle")
    message = str(raised.value)
    assert list(place.iterdir()) == []
    place.rmdir()
    assert "\n" not in message and message.isprintable()
    assert 10 < len(message) < 400
    assert raised.value.hint
    return message
