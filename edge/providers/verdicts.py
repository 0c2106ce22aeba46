"""Verdicts are remembered: for a bundle, a processor with its driver, and the versions of both sides."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from edge import __version__
from edge.bundle.bundle import Bundle
from edge.bundle.files import write_bytes_durably
from edge.providers.plugin import Plugin
from edge.providers.trial import Verdict
from edge.runtime.tune import cache_directory, cpu_key

MAX_BYTES = 1 << 16


def known_verdicts(bundle: Bundle, plugin: Plugin) -> dict[str, Verdict]:
    """By part; empty when nothing is known, or the record is damaged."""
    try:
        with _record(bundle, plugin).open("rb") as file:
            told = json.loads(file.read(MAX_BYTES))
        if told["phi-edge"] != __version__:
            return {}
        return {one["part"]: Verdict(**one) for one in told["verdicts"]}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def remember(bundle: Bundle, plugin: Plugin, verdicts: Sequence[Verdict]) -> None:
    """Beside those of other parts."""
    all_known = known_verdicts(bundle, plugin) | {one.part: one for one in verdicts}
    record = _record(bundle, plugin)
    record.parent.mkdir(parents=True, exist_ok=True)
    told = {"phi-edge": __version__, "verdicts": [asdict(one) for one in all_known.values()]}
    write_bytes_durably(record, json.dumps(told, indent=1).encode())


def _record(bundle: Bundle, plugin: Plugin) -> Path:
    return cache_directory() / "processors" / f"{bundle.digest[:16]}-{cpu_key()}-{plugin.name}-{plugin.identity}.json"
