"""Rows as cells of text, for the terminal and for Markdown alike: measures below each other, bundles side by side."""

from collections.abc import Callable, Iterator, Sequence

from edge.bundle.files import size_text
from edge.evaluation.scores import MEASURES
from edge.evaluation.summary import Figure, Row

NOTES = (
    "Rates with 95 % intervals: Wilson for answers that are right, bootstrap over utterances for word error rates.",
    "WER: Whisper's English normaliser, which writes numbers as figures: 'one two three' is the one word 123. "
    "WER, basic: only case and punctuation removed.",
    "First token and speeds are medians of answers that share nothing with the one before; memory is the peak of a "
    "mode's own process.",
)
_OTHERS: dict[str, Callable[[Row], str | None]] = {
    "answers": lambda row: str(row.items - row.failed),
    "  failed": lambda row: str(row.failed) if row.failed else None,
    "  cut off": lambda row: str(row.cut) if row.cut else None,
    "first token": lambda row: None if row.ttft_s is None else f"{row.ttft_s:.3g} s",
    "prompt": lambda row: _speed(row.prompt_tokens_per_s),
    "decoding": lambda row: _speed(row.decode_tokens_per_s),
    "load": lambda row: f"{row.load_s:.3g} s",
    "peak RSS": lambda row: size_text(row.peak_rss_bytes),
}


def table(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """(titles, cells): inputs, named in the first line of theirs only, measure, and a column for each bundle."""
    bundles = list(dict.fromkeys(row.bundle for row in rows))
    cells = []
    for kind, name in dict.fromkeys((row.kind, row.name) for row in rows):
        own = {row.bundle: row for row in rows if (row.kind, row.name) == (kind, name)}
        label = name if kind == "mode" else f"group {name}"
        for measure, values in _lines(own):
            cells.append([label, measure, *(values.get(bundle) or "–" for bundle in bundles)])
            label = ""
    return ["inputs", "measure", *bundles], cells


def _lines(rows: dict[str, Row]) -> Iterator[tuple[str, dict[str, str | None]]]:
    """(measure, text by bundle), rates first; what no bundle has is left out."""
    for key, title in MEASURES.items():
        if any(key in row.figures for row in rows.values()):
            yield title, {bundle: percent(row.figures.get(key)) for bundle, row in rows.items()}
    for title, read in _OTHERS.items():
        values = {bundle: read(row) for bundle, row in rows.items()}
        if any(values.values()):
            yield title, values


def percent(figure: Figure | None) -> str:
    """'97.5 % (92.1–99.3)'."""
    if figure is None:
        return "–"
    return f"{100 * figure.value:.1f} % ({100 * figure.low:.1f}–{100 * figure.high:.1f})"


def _speed(value: float | None) -> str | None:
    """Three digits, or all of them above 1,000."""
    if value is None:
        return None
    return f"{value:.3g} tok/s" if value < 999.5 else f"{value:,.0f} tok/s"
