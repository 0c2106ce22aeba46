"""The report as one JSON object, as Markdown, and its single results as JSON lines."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edge.bundle.bundle import Bundle
from edge.doctor import machine_facts
from edge.evaluation.intervals import RESAMPLES, SEED
from edge.evaluation.results import Result, Settings
from edge.evaluation.run import Evaluation
from edge.evaluation.summary import Row, summarise
from edge.evaluation.table import NOTES, table


@dataclass(frozen=True, slots=True)
class Report:
    """`wanted` answers were asked for: items times bundles. It is partial when an interrupt came before the last."""

    labels: str
    settings: Settings
    machine: dict[str, Any]
    bundles: dict[str, Bundle]
    wanted: int
    results: list[Result]
    rows: list[Row]

    @classmethod
    def of(cls, labels: str, evaluation: Evaluation, results: list[Result]) -> "Report":
        """`labels` is where the items came from, in the user's words."""
        settings, bundles, wanted = evaluation.settings, evaluation.bundles, evaluation.wanted
        return cls(labels, settings, machine_facts(), bundles, wanted, results, summarise(results))

    @property
    def partial(self) -> bool:
        return len(self.results) < self.wanted


def to_json(report: Report) -> dict[str, Any]:
    """Schema 1. Rates are fractions of 1, times seconds, memory bytes."""
    return {
        "schema": 1,
        "partial": report.partial,
        "labels": report.labels,
        "answers": {
            "wanted": report.wanted,
            "done": len(report.results),
            "failed": sum(bool(one.failed) for one in report.results),
        },
        "settings": asdict(report.settings)
        | {"decoding": "greedy", "confidence": 0.95, "bootstrap_resamples": RESAMPLES, "bootstrap_seed": SEED},
        "machine": report.machine,
        "bundles": [
            {
                "name": name,
                "digest": bundle.digest,
                "bytes": bundle.bytes,
                "rows": [_row(row) for row in report.rows if row.bundle == name],
            }
            for name, bundle in report.bundles.items()
        ],
    }


def to_json_lines(results: Sequence[Result]) -> str:
    """One object per answer, with what was expected beside what was said."""
    return "".join(json.dumps(_result(one), ensure_ascii=False) + "\n" for one in results)


def to_markdown(report: Report) -> str:
    """A table with what it was measured on."""
    titles, cells = table(report.rows)
    lines = [f"# {' and '.join(report.bundles)} on {report.labels}", ""]
    if report.partial:
        lines += [f"**Partial: {len(report.results)} of {report.wanted} answers.**", ""]
    lines += ["| " + " | ".join(map(_escaped, titles)) + " |"]
    lines += ["|" + "---|---|" + "---:|" * (len(titles) - 2)]
    lines += ["| " + " | ".join(map(_escaped, row)) + " |" for row in cells]
    machine, settings = report.machine, report.settings
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    lines += ["", *(f"- {note}" for note in NOTES)]
    crops = f"; at most {settings.max_crops} crops a picture" if settings.max_crops else ""
    lines += [f"- Greedy answers of at most {settings.max_tokens} tokens{crops}."]
    lines += [f"- {machine['cpu']}, {machine['cores']} cores, {machine['system']}; {versions}."]
    return "\n".join(lines) + "\n"


def _row(row: Row) -> dict[str, Any]:
    fields = asdict(row)
    del fields["bundle"]
    return fields


def _result(one: Result) -> dict[str, Any]:
    item = one.item
    fields: dict[str, Any] = {}
    calls = isinstance(item.expected, tuple)
    expected: Any = [asdict(call) for call in item.expected] if isinstance(item.expected, tuple) else item.expected
    if one.failed:
        fields["failed"] = one.failed
    else:
        fields = {
            "text": one.reply.text,
            "tool_calls": [asdict(call) for call in one.reply.calls],
            "finish_reason": one.finish_reason,
            "scores": {key: {"part": score.part, "of": score.of} for key, score in one.scores.items()},
            "usage": one.usage,
            "timing": one.timing,
        }
    return {
        "bundle": one.bundle,
        "line": item.line,
        "mode": item.mode,
        "group": item.group,
        "prompt": item.prompt,
        "audio": [str(path) for path in item.audio],
        "images": [str(path) for path in item.images],
        "metric": item.metric,
        "expected_calls" if calls else "expected": expected,
        **fields,
    }


def _escaped(cell: str) -> str:
    return cell.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
