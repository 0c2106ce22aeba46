"""What `pip install` of the wheel gives: a model that answers at once, from wherever the files came to lie."""

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edge.bundle.embedded import EMBEDDED
from tests.cli.child import ROOT, environment

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
LARGEST_BUNDLE = 15_000_000


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the sources, because a build leaves files among them; without network."""
    if importlib.util.find_spec("setuptools") is None:
        pytest.skip("setuptools is not installed, and fetching it would need a network")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("edge", "export", "quant"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [*PIP, "wheel", "--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel in a directory of its own, without its dependencies and compiled files."""
    target = tmp_path_factory.mktemp("site") / "packages"
    command = [*PIP, "install", "--no-deps", "--no-index", "--no-compile", "--target", str(target), str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


def answer(site: Path, work: Path) -> tuple[str, str]:
    """(where the package came from, answer of `edge run`) with `site` before the sources on the path."""
    code = (
        "import sys, edge; print(edge.__file__, flush=True); sys.argv = ['edge', 'run', 'hello', '-n', '4', '--json']; "
        "from edge.cli.main import main; main()"
    )
    env = environment(PYTHONPATH=str(site), PYTHONDONTWRITEBYTECODE="1")
    done = subprocess.run([sys.executable, "-c", code], cwd=work, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done
    origin, told = done.stdout.splitlines()
    return origin, told


def test_the_wheel_holds_the_whole_bundle_and_no_tests_or_benchmarks(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        sizes = {one.filename: one.file_size for one in archive.infolist()}
        names = [name for name in sizes if name.startswith("edge/terminal/")]
        assert {name: archive.read(name) for name in names} == {
            f"edge/terminal/{file.name}": file.read_bytes() for file in EMBEDDED.iterdir()
        }
    assert sum(sizes[name] for name in names) <= LARGEST_BUNDLE
    tops = {name.split("/")[0] for name in sizes}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"edge", "export", "quant"}


def test_an_installed_wheel_answers_and_writes_nothing_beside_itself(
    installed: Path, tmp_path: Path, own_home: Path
) -> None:
    before = sorted(installed.rglob("*"))
    origin, told = answer(installed, tmp_path)
    assert Path(origin).is_relative_to(installed)
    assert '"name": "terminal"' in told
    assert sorted(installed.rglob("*")) == before
    assert not own_home.exists()


def test_an_installation_of_hard_links_to_an_installers_cache_answers(installed: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    shutil.copytree(installed, linked, copy_function=os.link)
    origin, told = answer(linked, tmp_path)
    assert Path(origin).is_relative_to(linked)
    assert '"name": "terminal"' in told
