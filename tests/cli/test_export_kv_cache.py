"""`edge export --kv-bits`: what a person sees of an int8 KV cache."""

from pathlib import Path

from tests.cli.child import assert_refused, edge


def test_an_int8_kv_cache_has_a_line_of_its_own_in_the_report_and_is_shown(
    phi3_checkpoint: Path, tmp_path: Path
) -> None:
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "manual.txt").write_text("Close the valve before you open the lid. " * 200)
    out = tmp_path / "bundle"
    options = ("--recipe", "fast", "--calibrate", texts, "--kv-bits", 8)
    result = edge("export", phi3_checkpoint, out, *options, OPENBLAS_NUM_THREADS="1")  # threads that wait are slow
    assert result.code == 0, result.err
    assert "KV cache int8" in result.err and "text.int8-kv" in result.err
    assert edge("bundle", "verify", out).code == 0
    assert "KV cache int8, 768 B a token" in edge("bundle", "show", out).out  # 3 layers, 2 heads of 64, twice
    assert edge("run", "-b", out, "-n", 4, "hello").code == 0


def test_other_bits_are_refused_and_so_is_an_export_without_a_recipe(phi3_checkpoint: Path, tmp_path: Path) -> None:
    result = edge("export", phi3_checkpoint, tmp_path / "bundle", "--kv-bits", 4)
    assert_refused(result, 2, "a KV cache of 4 bits is not available")
    result = edge("export", phi3_checkpoint, tmp_path / "bundle", "--kv-bits", 8)
    assert_refused(result, 2, "an int8 KV cache is calibrated, which a recipe does")
    assert not list(tmp_path.iterdir())


def test_a_plan_says_that_the_cache_is_int8(phi3_checkpoint: Path, tmp_path: Path) -> None:
    arguments = ("export", phi3_checkpoint, tmp_path / "bundle", "--plan", "--recipe", "fast")
    assert "KV cache" not in edge(*arguments).err
    assert "KV cache int8" in edge(*arguments, "--kv-bits", 8).err
