"""Writes report.json (everything), report.md (the table) and report.svg (the plot).

`python -m benchmarks.peers.report REPORT.json` makes the table and the plot again from the JSON.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.peers.plot import draw
from benchmarks.peers.summary import BASELINE, Row, Spread, summarise, three_digits

READING = """\
Each cell is the median, with least and greatest of the rounds in brackets. Ratios are phi-edge ÷ peer: above 1 is
better for rates, below 1 for times and sizes; their brackets are the worst and best round, compared within a round.
Prefill rate is prompt tokens ÷ time to first token. Decode is the rate of {decode} greedy tokens after the first.
Peak RSS is VmHWM of a process that loaded the model and answered every prompt. Load leaves imports out and comes
from a warm page cache. All engines had {threads} threads and the same random token ids; the weights are random, so
quality is not measured here.
"""


def rows_of(report: Mapping[str, Any]) -> list[Row]:
    return summarise(report["samples"], report["exports"], report["settings"]["prompt_lengths"])


def cell(spread: Spread | None, suffix: str = "") -> str:
    if spread is None:
        return "–"
    text = f"{three_digits(spread.median)}{suffix}"
    if spread.low == spread.high:
        return text
    return f"{text} ({three_digits(spread.low)}–{three_digits(spread.high)})"


def markdown(report: Mapping[str, Any]) -> str:
    rows = rows_of(report)
    names = [name for name in report["contenders"] if any(name in row.engines for row in rows)]
    peers = [name for name in names if any(name in row.ratios for row in rows)]
    head = ["", *names, *(f"{BASELINE} ÷ {name}" for name in peers)]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        cells = [f"{row.metric.title} [{row.metric.unit}]"]
        cells += [cell(row.engines.get(name)) for name in names]
        cells += [cell(row.ratios.get(name), "×") for name in peers]
        lines.append("| " + " | ".join(cells) + " |")
    settings, machine = report["settings"], report["machine"]
    parts = [
        f"# Phi-4-mini geometry, {settings['layers']} layers: side by side\n",
        "\n".join(lines) + "\n",
        READING.format(decode=settings["decode_tokens"], threads=settings["threads"]),
        *(f"- **{name}**: {report['contenders'][name]}" for name in names),
        *(f"- **{name}** failed: {error}" for name, error in failures(report).items()),
        f"\nMachine: {machine['cpu']} ({', '.join(machine['cpu_features'])}), {machine['cpus']} CPUs, "
        f"{machine['memory_bytes'] / 1e9:.0f} GB, {machine['system']}, governor {machine['governor']}. "
        f"Rounds: {settings['rounds']}. Busy before a run: at most {busiest(report):.0%}.",
        f"Versions: {versions(report)}. Commit {report['commit']}, {report['created']}.",
        f"\n    {report['command']}\n",
    ]
    return "\n".join(parts)


def failures(report: Mapping[str, Any]) -> dict[str, str]:
    found = {name: record["error"] for name, record in report["exports"].items() if record["error"]}
    return found | {one["engine"]: one["error"] for one in report["samples"] if "error" in one}


def busiest(report: Mapping[str, Any]) -> float:
    """Greatest share of the CPUs that something else used right before a sample."""
    return max((one["busy_share_before"] for one in report["samples"] if "error" not in one), default=0.0)


def versions(report: Mapping[str, Any]) -> str:
    found: dict[str, str] = {}
    for sample in report["samples"]:
        for name, version in sample.get("versions", {}).items():
            found.setdefault(f"{sample['engine']}: {name}", version)
    return "; ".join(f"{name} {version}" for name, version in found.items()) or "none"


def write(report: dict[str, Any], directory: Path) -> list[Path]:
    """The three files; `summary` is added to the JSON for readers that do not want to compute it."""
    directory.mkdir(parents=True, exist_ok=True)
    rows = rows_of(report)
    report["summary"] = [
        {
            "metric": row.metric.key,
            "unit": row.metric.unit,
            "engines": {name: asdict(spread) for name, spread in row.engines.items()},
            "ratios": {name: asdict(spread) for name, spread in row.ratios.items()},
        }
        for row in rows
    ]
    contents = {
        "report.json": json.dumps(report, indent=1) + "\n",
        "report.md": markdown(report),
        "report.svg": draw(rows, list(report["contenders"])),
    }
    for name, text in contents.items():
        (directory / name).write_text(text, encoding="utf-8")
    return [directory / name for name in contents]


if __name__ == "__main__":
    path = Path(sys.argv[1])
    write(json.loads(path.read_text(encoding="utf-8")), path.parent)
