"""Which bundle runs when none is named, and how the embedded one introduces itself."""

from pathlib import Path

import pytest

from tests.cli.child import edge, running


def name_of_bundle(*arguments: object, **env: str) -> str:
    result = edge("run", "hello", "-n", 1, "--json", *arguments, **env)
    assert (result.code, result.err) == (0, "")
    return result.json()["bundle"]["name"]


def test_b_comes_before_the_environment_before_default_before_the_embedded_one(
    phi3_bundle: Path, phi3_float_bundle: Path, own_home: Path
) -> None:
    assert name_of_bundle() == "terminal"
    assert not own_home.exists(), "nothing is copied in order to run"
    edge("bundle", "install", phi3_bundle, "--name", "default")
    assert name_of_bundle() == phi3_bundle.name
    assert name_of_bundle(EDGE_BUNDLE=str(phi3_float_bundle)) == phi3_float_bundle.name
    assert name_of_bundle("-b", "terminal", EDGE_BUNDLE=str(phi3_float_bundle)) == "terminal"


def test_show_and_verify_look_at_the_bundle_that_would_run(phi3_bundle: Path) -> None:
    assert edge("bundle", "show", "--json").json()["name"] == "terminal"
    assert edge("bundle", "verify", "--json").json()["ok"]
    assert edge("bundle", "show", "--json", EDGE_BUNDLE=str(phi3_bundle)).json()["name"] == phi3_bundle.name


def test_bench_and_eval_take_the_embedded_bundle(tmp_path: Path) -> None:
    told = edge("bench", "--prompt", 4, "--new", 2, "--rounds", 1, "--json")
    assert (told.code, told.err, told.json()["bundle"]["name"]) == (0, "", "terminal")
    (tmp_path / "labels.jsonl").write_text('{"prompt": "hello", "answer": "no"}\n')
    report = edge("eval", tmp_path, "-n", 2, "--json")
    assert report.code == 0
    assert "stand-in" not in report.err
    assert "terminal" in report.out


def test_the_embedded_bundle_says_once_that_it_is_a_stand_in_and_where_the_real_model_is() -> None:
    with running("run", "hello", "-n", 3) as child:
        child.wait_for("tiny stand-in")
        child.wait_for("edge pull microsoft/Phi-4-multimodal-instruct")
        assert child.finish() == 0
        assert "stand-in" not in child.seen


@pytest.mark.parametrize("arguments", [("--json",), ()], ids=["json on a terminal", "no terminal"])
def test_a_script_is_not_told(arguments: tuple[str, ...]) -> None:
    if arguments:
        with running("run", "hello", "-n", 3, *arguments) as child:
            assert child.finish() == 0
            assert child.seen == ""
    else:
        assert edge("run", "hello", "-n", 3).err == ""


def test_a_bundle_of_the_users_own_is_not_introduced(phi3_bundle: Path) -> None:
    edge("bundle", "install", phi3_bundle, "--name", "default")
    with running("run", "hello", "-n", 3) as child:
        assert child.finish() == 0
        assert "stand-in" not in child.seen
