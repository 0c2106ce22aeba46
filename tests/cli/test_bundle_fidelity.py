"""edge bundle fidelity: exports of one checkpoint side by side, as a table, Markdown, plot and JSON."""

from dataclasses import replace
from pathlib import Path

import pytest

from edge.bundle.bundle import Bundle
from edge.errors import UsageError
from edge.evaluation.fidelity import check_comparable, read_report
from tests.checkpoints import random_checkpoint
from tests.cli.child import assert_refused, edge


@pytest.fixture(scope="module")
def made(phi3_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the same checkpoint: int4 and int8, in a folder."""
    folder = tmp_path_factory.mktemp("exports")
    for name, bits in (("int4", 4), ("int8", 8)):
        result = edge("export", phi3_checkpoint, folder / name, "--bits", bits, "--json", OPENBLAS_NUM_THREADS="1")
        assert result.code == 0, result.err
        told = result.json()["fidelity"]
        assert told["seconds"] > 0 and told["modes"]["text"]["kl"] >= 0 and told["worst_matrices"]
        assert "same first choice" in result.err
    return folder


def test_two_bundles_are_shown_side_by_side(made: Path, tmp_path: Path) -> None:
    table, plot, image = tmp_path / "table.md", tmp_path / "plot.svg", tmp_path / "plot.png"
    result = edge("bundle", "fidelity", made / "int4", made / "int8", "--markdown", table, "--plot", plot, "--speed")
    assert result.code == 0, result.err
    for word in ("int4", "int8", "4.28", "8.31"):
        assert word in result.out
    lines = table.read_text().splitlines()
    for title in ("bits", "tok/s", "KL", "top-1", "perplexity", "differs at"):
        assert title in lines[0]
    assert lines[2].startswith("| int4 |") and lines[3].startswith("| int8 |") and "2,048 text" in lines[-3]
    assert lines[1].count("|") == lines[0].count("|") == lines[2].count("|")
    drawn = plot.read_text()
    assert drawn.count("<title>int4, text: KL ") == 2, "against size and against speed"
    assert edge("bundle", "fidelity", made / "int4", "--plot", image).code == 0
    assert image.read_bytes().startswith(b"\x89PNG")


def test_json_has_the_whole_reports(made: Path) -> None:
    told = edge("bundle", "fidelity", made / "int4", made / "int8", "--json").json()
    one, other = told["bundles"]
    assert (one["name"], one["body_bits"], one["decode_tokens_per_s"]) == ("int4", pytest.approx(4.28125), None)
    assert one["fidelity"]["modes"]["text"]["kl"] > other["fidelity"]["modes"]["text"]["kl"]
    assert one["digest"] == edge("bundle", "show", made / "int4", "--json").json()["digest"]


def test_what_cannot_be_compared_is_refused(made: Path, phi3_bundle: Path, tmp_path: Path) -> None:
    assert_refused(edge("bundle", "fidelity", phi3_bundle), 3, "has no fidelity.json")
    assert_refused(edge("bundle", "fidelity", made / "int4", "--plot", tmp_path / "plot.gif"), 2, "plot.gif")
    other = tmp_path / "other"
    arguments = ("export", random_checkpoint(tmp_path / "checkpoint", "phi3", seed=1), other)
    assert edge(*arguments, OPENBLAS_NUM_THREADS="1").code == 0
    assert_refused(edge("bundle", "fidelity", made / "int4", other), 2, "not of the same checkpoint")


def test_figures_over_other_texts_are_not_set_beside_each_other(made: Path) -> None:
    row = read_report("int4", Bundle.open(made / "int4"))
    own_texts = replace(row, name="own", modes={"text": replace(row.modes["text"], data="0" * 64)})
    older = replace(row, name="older", modes={"text": replace(row.modes["text"], data="")})
    check_comparable([row, row])
    for other in (own_texts, older):
        with pytest.raises(UsageError, match=f"int4 and {other.name} were measured with different data in the mode t"):
            check_comparable([row, other])


def test_an_export_beyond_the_limit_fails_and_one_without_a_measurement_does_not(
    phi3_checkpoint: Path, tmp_path: Path
) -> None:
    result = edge("export", phi3_checkpoint, tmp_path / "bundle", "--max-kl", "1e-9", OPENBLAS_NUM_THREADS="1")
    assert_refused(result, 3, "the mode text would lose too much", "layer")
    assert not list(tmp_path.glob("*bundle*"))
    result = edge("export", phi3_checkpoint, tmp_path / "bundle", "--max-kl", "1e-9", "--no-fidelity")
    assert_refused(result, 2, "--no-fidelity contradicts --max-kl")
    result = edge("export", phi3_checkpoint, tmp_path / "bundle", "--no-fidelity", "--json")
    assert result.code == 0 and "fidelity" not in result.json()
