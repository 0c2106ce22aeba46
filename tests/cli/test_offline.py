"""Everything but pull works where there is no network at all, with no environment but PATH and HOME."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.child import Result, assert_refused, edge


def isolation() -> tuple[str, ...]:
    """A command prefix for a network namespace without interfaces. Skips, saying why, when none can be made."""
    if not shutil.which("unshare"):
        pytest.skip("there is no unshare command to make a network namespace with")
    said = ""
    for flags in ("-n", "-rn"):
        tried = subprocess.run(["unshare", flags, "true"], capture_output=True, text=True, check=False)
        if tried.returncode == 0:
            return ("unshare", flags)
        said = tried.stderr.strip()
    pytest.skip(f"this machine does not let us make a network namespace: {said}")


@pytest.fixture
def offline_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("EDGE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_every_verb_but_pull_works_without_a_network(offline_home: Path, phi3_checkpoint: Path, tmp_path: Path) -> None:
    prefix, out = isolation(), tmp_path / "exported"
    tools, schema = tmp_path / "tools.json", tmp_path / "schema.json"
    tools.write_text('[{"name": "f"}]')
    schema.write_text('{"type": "integer", "maximum": 9, "minimum": 1}')

    def works(*arguments: object, stdin: bytes = b"") -> Result:
        result = edge(*arguments, stdin=stdin, prefix=prefix)
        assert result.code == 0, result
        return result

    works("--help")
    works("export", phi3_checkpoint, out)
    works("bundle", "verify", out)
    works("bundle", "install", out, "--name", "mini")
    works("bundle", "tune", "mini")
    works("bundle", "show", "mini")
    works("bundle", "list")
    assert works("run", "-b", "mini", "hello", "-n", 4).out
    assert list(offline_home.rglob("mini/bundle.json")), "the bundle lies in the home directory"
    assert works("run", "-b", "mini", "hello", "--schema", schema).out.strip() in "123456789"
    works("run", "-b", "mini", "hello", "-n", 4, "--tools", tools)
    assert works("chat", "-b", "mini", "-n", 4, stdin=b"hello\n").out
    works("bench", "-b", "mini", "--prompt", 4, "--new", 2, "--rounds", 1)
    checks = edge("doctor", "-b", "mini", "--json", prefix=prefix).json()["checks"]
    assert {check["name"] for check in checks if check["ok"]} >= {"cpu", "clock", "runtime", "bundle"}
    works("bundle", "remove", "mini")


def test_pull_says_that_it_cannot_reach_the_hub(offline_home: Path) -> None:
    assert_refused(edge("pull", "someone/something", prefix=isolation()), 7, "cannot be reached")
