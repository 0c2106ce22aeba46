"""fidelity.json of several bundles of one checkpoint, side by side. Read with limits: it may come from a stranger."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from edge.bundle.bundle import Bundle
from edge.bundle.contract import FOREIGN
from edge.bundle.files import read_regular, size_text
from edge.bundle.manifest import Manifest, TensorGroup
from edge.bundle.typed_json import build, parse
from edge.errors import BundleError, UsageError

REPORT = "fidelity.json"
MAX_BYTES = 4 << 20
BODY = ("attention", "mlp", FOREIGN)
SAME = 1e-3
"""Perplexities of one checkpoint over the same text agree to this part, whatever computes them."""


@dataclass(frozen=True, slots=True)
class Loss:
    """One mode, as `edge export` measured it. `same_tokens`: how many agree from the start of a sequence, the median;
    `data`: SHA-256 of what was held out, "" in reports of older versions."""

    tokens: int
    kl: float
    top1: float
    exact_perplexity: float | None
    perplexity: float | None
    same_tokens: float
    data: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """`name` as the user gave it. `tokens_per_s` is decoding speed here, if it was measured."""

    name: str
    bundle: Bundle
    modes: dict[str, Loss]
    tokens_per_s: float | None = None


def read_report(name: str, bundle: Bundle) -> Measured:
    """Raises BundleError where there is no report, or none that can be read."""
    if REPORT not in bundle.manifest.files:
        raise BundleError(
            f"The bundle {name} has no {REPORT}: what its export lost was not measured.",
            "Export it again, quantised and without --no-fidelity.",
        )
    where = f"{name}: {REPORT}"
    told = build(_Report, parse(read_regular(bundle.path, REPORT, MAX_BYTES), where, MAX_BYTES), where, True)
    modes = {mode: build(Loss, of, f"{where}.modes[{mode[:40]!a}]", True) for mode, of in told.modes.items()}
    if not modes:
        raise BundleError(
            f"The bundle {name} says that nothing could be measured at its export.", f"See the notes in its {REPORT}."
        )
    return Measured(name, bundle, modes)


def check_comparable(rows: Sequence[Measured]) -> None:
    """Raises UsageError for bundles of different checkpoints, and for figures over different texts or media."""
    for one, other in pairwise(rows):
        pair = f"{one.name} and {other.name}"
        for mode in one.modes.keys() & other.modes.keys():
            a, b = one.modes[mode], other.modes[mode]
            if a.data != b.data or not a.data:
                raise UsageError(
                    f"{pair} were measured with different data in the mode {mode}, which says nothing of either.",
                    "Export both with this version, with the same --calibrate folder or without.",
                )
            if _apart(a.exact_perplexity, b.exact_perplexity):
                raise UsageError(f"{pair} are not of the same checkpoint.", "Compare bundles of one checkpoint.")
        if _source(one.bundle.manifest) != _source(other.bundle.manifest):
            raise UsageError(f"{pair} are not of the same checkpoint.", "Compare bundles of one checkpoint.")


def table(rows: Sequence[Measured]) -> tuple[list[str], list[list[str]]]:
    """(titles, cells), a line for each bundle and mode; what is the same for all modes is in the first line only."""
    speeds = any(row.tokens_per_s for row in rows)
    titles = ["bundle", "size", "bits", *(["tok/s"] if speeds else []), "mode", "KL", "top-1", "perplexity"]
    titles += ["differs at"]
    cells = []
    for row in rows:
        first = [row.name, size_text(row.bundle.bytes), f"{body_bits(row.bundle.manifest):.2f}"]
        first += [f"{row.tokens_per_s:.3g}" if row.tokens_per_s else "–"] if speeds else []
        for mode, loss in row.modes.items():
            ratio = "–"
            if loss.perplexity is not None and loss.exact_perplexity:
                ratio = f"× {loss.perplexity / loss.exact_perplexity:.3f}"
            figures = [f"{loss.kl:.4f}", f"{loss.top1:.1%}", ratio, f"{loss.same_tokens + 1:g}"]
            cells.append([*first, mode, *figures])
            first = [""] * len(first)
    return titles, cells


def to_markdown(rows: Sequence[Measured], notes: Sequence[str]) -> str:
    titles, cells = table(rows)
    text = ["bundle", "mode"]
    lines = ["| " + " | ".join(titles) + " |", "|" + "".join("---|" if t in text else "---:|" for t in titles)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells]
    return "\n".join([*lines, "", *(f"- {note}" for note in notes)]) + "\n"


def to_json(row: Measured) -> dict[str, Any]:
    """All of its figures, with those of `edge export` as they are in the bundle."""
    report = parse(read_regular(row.bundle.path, REPORT, MAX_BYTES), REPORT, MAX_BYTES)
    manifest = row.bundle.manifest
    return {
        "name": row.name,
        "digest": row.bundle.digest,
        "bytes": row.bundle.bytes,
        "body_bits": body_bits(manifest),
        "decode_tokens_per_s": row.tokens_per_s,
        "fidelity": report,
    }


def body_bits(manifest: Manifest) -> float:
    """Bits per weight of the layers' matrices, scales and zero points counted."""
    groups = [group for group in manifest.quantisation if group.name in BODY]
    weights = sum(group.bytes * 8 / _bits(group) for group in groups)
    return sum(group.bytes for group in groups) * 8 / weights if weights else 0.0


@dataclass(frozen=True, slots=True)
class _Report:
    modes: dict[str, Any]


def _bits(group: TensorGroup) -> float:
    """Of one weight; a block has a float32 scale, and a zero point unless it is symmetric."""
    return group.bits + (32 + (0 if group.symmetric else group.bits)) / group.block if group.block else group.bits


def _apart(a: float | None, b: float | None) -> bool:
    return a is not None and b is not None and abs(a - b) > SAME * max(a, b)


def _source(manifest: Manifest) -> tuple[str, object]:
    return manifest.architecture, manifest.provenance.get("source_config_sha256")
