"""`edge export --recipe`: what a person sees of a calibrated export, and of one that would lose too much."""

from pathlib import Path

from tests.cli.child import assert_refused, edge


def test_a_recipe_says_what_it_does_and_what_was_lost(phi3_checkpoint: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "manual.txt").write_text("Close the valve before you open the lid. " * 200)
    out = tmp_path / "bundle"
    result = edge("export", phi3_checkpoint, out, "--recipe", "balanced", "--calibrate", texts)
    assert result.code == 0, result.err
    assert "recipe balanced:" in result.err and "same first choice" in result.err
    assert edge("bundle", "verify", out).code == 0
    assert edge("run", "-b", out, "-n", 4, "hello").code == 0


def test_an_export_that_loses_too_much_fails_and_leaves_nothing(phi3_checkpoint: Path, tmp_path: Path) -> None:
    result = edge("export", phi3_checkpoint, tmp_path / "bundle", "--recipe", "balanced", "--max-kl", "1e-9")
    assert_refused(result, 3, "would lose too much")
    assert not list(tmp_path.iterdir())


def test_a_budget_that_cannot_be_spent_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    for wish, said in (
        (("--recipe", "faithful", "--bits-per-weight", "3"), "a budget of 3 bits a weight cannot be spent"),
        (("--recipe", "faithful", "--bits-per-weight", "nan"), "a budget of nan bits a weight cannot be spent"),
        (("--bits-per-weight", "5"), "bits are spent by a recipe"),
    ):
        assert_refused(edge("export", tmp_path, out, *wish), 2, said)
