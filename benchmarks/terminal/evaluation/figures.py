"""Reports of `edge eval --json` and of the reference, read back: one row for each set, bundle and group."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from edge.errors import InputError
from edge.evaluation.intervals import wilson
from edge.evaluation.scores import ERRORS
from edge.evaluation.summary import Figure, Row


class Key(NamedTuple):
    """`group` is empty for the whole set."""

    set: str
    bundle: str
    group: str = ""


def read_reports(files: Iterable[Path]) -> dict[Key, Row]:
    """Sets are called like the folder that was evaluated; the modes of a set become one row.

    Raises InputError for a file that is no report, a partial one, a set that a bundle answered twice, and a set that
    bundles answered different numbers of items of.
    """
    rows: dict[Key, Row] = {}
    for file in files:
        try:
            told = json.loads(file.read_text())
            name, partial, bundles = Path(told["labels"]).resolve().name, told["partial"], told["bundles"]
            read = {one["name"]: [_row(one["name"], row) for row in one["rows"]] for one in bundles}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{file} is no report of edge eval: {error}.", "make it with  edge eval --json") from None
        if partial:
            raise InputError(f"{file} is partial.", "let edge eval answer all of the set")
        for bundle, own in read.items():
            if Key(name, bundle) in rows:
                raise InputError(f"{file} is the second report of {bundle} on the set {name}.", "leave one out")
            rows[Key(name, bundle)] = whole([row for row in own if row.kind == "mode"], name)
            rows |= {Key(name, bundle, row.name): row for row in own if row.kind == "group"}
    _check_counts(rows)
    return rows


def whole(rows: Sequence[Row], name: str) -> Row:
    """The modes of a set as one row called `name`. Medians of different modes cannot be joined and are left out."""
    if not rows:
        raise InputError(f"The report on {name} has no rows.", "evaluate it again")
    one = len(rows) == 1
    measures = dict.fromkeys(measure for row in rows for measure in row.figures)
    first = rows[0]
    return Row(
        first.bundle,
        "mode",
        name,
        sum(row.items for row in rows),
        sum(row.failed for row in rows),
        sum(row.cut for row in rows),
        {key: joined(key, [row.figures[key] for row in rows if key in row.figures]) for key in measures},
        first.ttft_s if one else None,
        first.prompt_tokens_per_s if one else None,
        first.decode_tokens_per_s if one else None,
        max(row.load_s for row in rows),
        max(row.peak_rss_bytes for row in rows),
    )


def joined(measure: str, figures: Sequence[Figure]) -> Figure:
    """One rate of several, over all their answers. Raises InputError for word errors of several modes: their interval
    needs the single answers."""
    if len(figures) == 1:
        return figures[0]
    if measure in ERRORS:
        raise InputError("Word error rates of several modes cannot be joined.", "evaluate one mode at a time")
    count, of = sum(one.count for one in figures), sum(one.of for one in figures)
    return Figure(count / of, *wilson(count, of), count, of, sum(one.items for one in figures))


def _row(bundle: str, fields: dict) -> Row:
    figures = {key: Figure(**figure) for key, figure in fields["figures"].items()}
    return Row(**(fields | {"bundle": bundle, "figures": figures}))


def _check_counts(rows: dict[Key, Row]) -> None:
    first: dict[str, tuple[str, int]] = {}
    for key, row in rows.items():
        if key.group:
            continue
        bundle, items = first.setdefault(key.set, (key.bundle, row.items))
        if row.items != items:
            fault = f"{bundle} answered {items:,} items of {key.set}, {key.bundle} answered {row.items:,}"
            raise InputError(f"{fault}.", "evaluate the same set with both")
