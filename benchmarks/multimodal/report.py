"""Writes report.json (everything) and report.md (the tables).

`python -m benchmarks.multimodal.report REPORT.json` makes the tables again from the JSON.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.multimodal.cases import CASES
from benchmarks.multimodal.summary import COLUMNS, cells, promises
from benchmarks.peers.report import busiest, cell
from benchmarks.peers.summary import Spread, three_digits

READING = """\
Each cell is the median, with least and greatest of the rounds in brackets. Every sample is a process of its own that
loads the bundle, answers the case, and then its first turn once more with other words, sounds and pixels: times are of
that second answer, "first turn" is the first one with everything it opens. Encode is the encoders and their projector,
first token counts from the call, reading the media included. Decode is the rate over {decode} tokens, the first left
out. Real-time factor is the whole answer ÷ length of the recording. Peak RSS is VmHWM before the second answer. Load
comes from a warm page cache, imports left out. Media are synthetic and weights random: quality is not measured here.
"""


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def exports_table(report: Mapping[str, Any]) -> str:
    rows = [
        [name, f"{one['disk_bytes'] / 1e9:.3f}", f"{one['peak_rss_bytes'] / 1e9:.3f}", three_digits(one["seconds"])]
        for name, one in report["exports"].items()
    ]
    return table(["", "bundle [GB]", "export peak RSS [GB]", "export [s]"], rows)


def cases_table(report: Mapping[str, Any]) -> str:
    rows = []
    for case in CASES:
        for bundle in report["bundles"]:
            found = cells(report["samples"], bundle, case.name)
            if any(found):
                rows.append([case.title, bundle, *map(cell, found)])
    head = ["case", "bundle", *(f"{one.title} [{one.unit}]" if one.unit else one.title for one in COLUMNS)]
    return table(head, rows) if rows else ""


def promises_table(report: Mapping[str, Any]) -> str:
    rows = [
        [one.title, cell(one.value), one.bound, "yes" if one.kept else "no"]
        for one in promises(report["samples"], list(report["bundles"]))
    ]
    return table(["", "measured", "wanted", "kept"], rows) if rows else ""


def failures(report: Mapping[str, Any]) -> list[str]:
    found = [f"{name}: {record['error']}" for name, record in report["exports"].items() if record["error"]]
    return found + [f"{one['engine']}, {one['case']}: {one['error']}" for one in report["samples"] if "error" in one]


def versions(report: Mapping[str, Any]) -> str:
    one: Mapping[str, str] = next((s["versions"] for s in report["samples"] if "versions" in s), {})
    return ", ".join(f"{name} {version}" for name, version in one.items())


def markdown(report: Mapping[str, Any]) -> str:
    settings, machine = report["settings"], report["machine"]
    parts = [
        f"# Phi-4-multimodal geometry, {settings['layers']} decoder layers\n",
        exports_table(report),
        cases_table(report),
        promises_table(report),
        READING.format(decode=settings["decode_tokens"]),
        *(f"- **{name}**: {title}" for name, title in report["bundles"].items()),
        *(f"- {name}: tuned in {seconds:.1f} s" for name, seconds in report["tune_s"].items()),
        *(f"- failed: {line}" for line in failures(report)),
        f"\nMachine: {machine['cpu']} ({', '.join(machine['cpu_features'])}), {machine['cpus']} CPUs, "
        f"{machine['memory_bytes'] / 1e9:.0f} GB, {machine['system']}, governor {machine['governor']}. "
        f"Rounds: {settings['rounds']}, threads: {settings['threads']}, {settings['idle_s']:g} s between the answers. "
        f"Busy before a run: at most {busiest(report):.0%}.",
        f"Versions: {versions(report)}. Commit {report['commit']}, {report['created']}.",
        f"\n    {report['command']}\n",
    ]
    return "\n".join(part for part in parts if part)


def spread_or_none(spread: Spread | None) -> dict[str, float] | None:
    return None if spread is None else {"min": spread.low, "median": spread.median, "max": spread.high}


def write(report: dict[str, Any], directory: Path) -> list[Path]:
    """Both files; `summary` and `promises` are added to the JSON for readers that do not want to compute them."""
    directory.mkdir(parents=True, exist_ok=True)
    samples, bundles = report["samples"], list(report["bundles"])
    report["summary"] = [
        {"case": case.name, "bundle": bundle}
        | {
            f"{column.title} {column.unit}".strip(): spread_or_none(spread)
            for column, spread in zip(COLUMNS, found, strict=True)
        }
        for case in CASES
        for bundle in bundles
        if any(found := cells(samples, bundle, case.name))
    ]
    report["promises"] = [
        {"title": one.title, "measured": spread_or_none(one.value), "wanted": one.bound, "kept": one.kept}
        for one in promises(samples, bundles)
    ]
    contents = {"report.json": json.dumps(report, indent=1) + "\n", "report.md": markdown(report)}
    for name, text in contents.items():
        (directory / name).write_text(text, encoding="utf-8")
    return [directory / name for name in contents]


if __name__ == "__main__":
    path = Path(sys.argv[1])
    write(json.loads(path.read_text(encoding="utf-8")), path.parent)
