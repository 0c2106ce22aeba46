import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edge.bundle import files, store
from edge.bundle.bundle import Bundle
from edge.bundle.embedded import EMBEDDED
from edge.bundle.staging import StagedDirectory
from edge.bundle.verify import verify
from edge.errors import BundleError, ResourceError, UsageError
from tests.bundle import sample

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def edge_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return sample.write(tmp_path / "source")


def everything_in(path: Path) -> list[str]:
    return sorted(str(one.relative_to(path)) for one in path.rglob("*"))


def test_without_edge_home_bundles_lie_in_the_users_data_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("EDGE_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    if sys.platform == "linux":
        assert store.bundles_dir() == tmp_path / "data" / "phi-edge" / "bundles"
    assert store.installed_names() == []


def test_an_installed_bundle_is_found_by_its_name_and_is_a_copy(source: Path):
    (source / "README.md").write_text("about")
    path = store.install(source)
    assert store.resolve("tiny") == path
    shutil.rmtree(source)
    assert verify(Bundle.open(path)).ok
    assert (path / "README.md").read_text() == "about"
    assert [(one.name, one.problem) for one in store.list_installed()] == [("tiny", ""), ("terminal", "")]


def test_a_name_that_is_taken_is_refused_with_the_remedy(source: Path):
    store.install(source)
    with pytest.raises(UsageError) as caught:
        store.install(source)
    assert "--replace" in caught.value.hint
    assert store.install(source, name="second").name == "second"
    assert store.installed_names() == ["second", "tiny"]


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "x" * 200, "a b"])
def test_a_name_that_leaves_the_store_is_refused(source: Path, edge_home: Path, name: str):
    if name:
        with pytest.raises(UsageError):
            store.install(source, name=name)
    with pytest.raises(BundleError):
        store.remove(name)
    assert not edge_home.exists()


def test_a_replaced_bundle_leaves_nothing_of_the_old_one(source: Path, tmp_path: Path, edge_home: Path):
    store.install(source)
    newer = sample.write(tmp_path / "newer", files=sample.contents() | {"tokenizer.json": b'{"version":"2.0"}'})
    path = store.install(newer, replace=True)
    assert verify(path).digest == verify(newer).digest
    assert [one.name for one in (edge_home / "bundles").iterdir()] == ["tiny"]


def test_a_removed_bundle_is_gone(source: Path, edge_home: Path):
    store.install(source)
    store.remove("tiny")
    assert everything_in(edge_home) == ["bundles"]
    with pytest.raises(BundleError):
        store.remove("tiny")


def test_an_unknown_bundle_is_answered_with_what_there_is(source: Path):
    with pytest.raises(BundleError, match="none yet"):
        store.resolve("tiny")
    store.install(source)
    with pytest.raises(BundleError, match="installed are: tiny") as caught:
        store.resolve("tinny")
    assert "Did you mean tiny?" in caught.value.hint
    with pytest.raises(BundleError):
        store.resolve("/no/such/place")


def test_a_path_is_taken_as_it_is(source: Path, monkeypatch: pytest.MonkeyPatch):
    assert store.resolve(source) == source
    monkeypatch.chdir(source.parent)
    assert store.resolve("source") == source
    assert store.resolve("./source") == source


def test_the_embedded_bundle_runs_until_one_is_installed_as_default(source: Path):
    assert store.default_bundle() == store.resolve("terminal") == EMBEDDED
    path = store.install(source, name="default")
    assert store.default_bundle() == path
    assert store.resolve("terminal") == EMBEDDED
    store.remove("default")
    assert store.default_bundle() == EMBEDDED


def test_the_embedded_bundle_can_be_copied_but_not_removed(source: Path):
    assert [(one.path, one.embedded) for one in store.list_installed()] == [(EMBEDDED, True)]
    with pytest.raises(UsageError, match="part of phi-edge"):
        store.remove("terminal")
    copy = store.install(EMBEDDED)
    assert store.resolve("terminal") == copy
    store.remove("terminal")
    assert store.resolve("terminal") == EMBEDDED
    assert verify(EMBEDDED).ok


def test_an_installation_that_has_lost_the_embedded_bundle_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store, "EMBEDDED", tmp_path / "terminal")
    with pytest.raises(BundleError, match="terminal") as caught:
        store.default_bundle()
    assert "-b" in caught.value.hint
    assert store.list_installed() == []


def test_hard_links_are_fine_in_the_embedded_bundle_only(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "second-name").hardlink_to(source / "weights.bin")
    with pytest.raises(BundleError, match="2 hard links"):
        Bundle.open(source)
    monkeypatch.setattr(files, "EMBEDDED", source)
    assert verify(Bundle.open(source)).ok


def test_a_damaged_bundle_is_not_installed_and_leaves_nothing(source: Path, edge_home: Path):
    weights = bytearray((source / "weights.bin").read_bytes())
    weights[100] ^= 1
    (source / "weights.bin").write_bytes(weights)
    with pytest.raises(BundleError, match=r"weights\.bin"):
        store.install(source)
    assert everything_in(edge_home) == ["bundles"]


def test_a_damaged_installed_bundle_is_listed_with_its_problem(source: Path):
    path = store.install(source)
    (path / "weights.bin").unlink()
    entry = store.list_installed()[0]
    assert entry.bundle is None
    assert "weights.bin is missing" in entry.problem


def crash(source: Path, home: Path, *more: str) -> dict:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bundle.crash_install", str(source), str(home), *more],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_install_killed_at_any_file_operation_leaves_nothing_or_a_whole_bundle(source: Path, edge_home: Path):
    outcome = crash(source, edge_home)
    assert outcome["operations"] > 40
    assert outcome["left"] == []
    assert (outcome["exit"], outcome["final"], outcome["hidden"]) == (0, [], [])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux exchanges two directories in one step")
def test_a_replacement_killed_at_any_file_operation_leaves_the_old_or_the_new_bundle(
    source: Path, edge_home: Path, tmp_path: Path
):
    store.install(source)
    newer = sample.write(tmp_path / "newer", files=sample.contents() | {"tokenizer.json": b'{"version":"2.0"}'})
    outcome = crash(newer, edge_home, "replace")
    assert outcome["operations"] > 40
    assert outcome["left"] == []
    assert (outcome["exit"], outcome["final"], outcome["hidden"]) == (0, [], [])
    assert outcome["digest"] == verify(newer).digest != outcome["before"]


def test_a_living_writer_is_left_alone_and_a_dead_ones_leftovers_are_cleared(edge_home: Path, source: Path):
    dead = edge_home / "bundles" / ".tiny.partial-1-dead"
    dead.mkdir(parents=True)
    (dead / "weights.bin").write_bytes(b"half")
    with StagedDirectory(edge_home / "bundles" / "tiny") as living:
        assert not dead.exists()
        (living.path / "x").write_bytes(b"x")
        store.install(source)
        assert (living.path / "x").exists()
        with pytest.raises(UsageError, match="already exists"):
            living.commit()
    assert [one.name for one in (edge_home / "bundles").iterdir()] == ["tiny"]
    assert verify(edge_home / "bundles" / "tiny").ok


def test_a_resumable_directory_survives_errors_and_admits_one_writer(tmp_path: Path):
    final = tmp_path / "final"
    with pytest.raises(RuntimeError), StagedDirectory(final, resume="key") as first:
        (first.path / "part").write_bytes(b"1")
        with pytest.raises(UsageError, match="Another process"), StagedDirectory(final, resume="key"):
            pass
        raise RuntimeError
    with StagedDirectory(final, resume="key") as second:
        assert (second.path / "part").read_bytes() == b"1"
        second.commit()
    assert everything_in(tmp_path) == ["final", "final/part"]


def test_a_disk_that_is_too_small_is_refused_before_copying(source: Path, edge_home: Path):
    # a hole has the size of a bundle that no disk holds, and takes no space
    os.truncate(source / "weights.bin", 1 << 43)
    data = json.loads((source / "bundle.json").read_text())
    manifest = sample.manifest(sample.contents())
    manifest.files["weights.bin"] = type(manifest.files["weights.bin"])(1 << 43, "0" * 64)
    (source / "bundle.json").write_bytes(manifest.to_json())
    assert data["name"] == "tiny"
    if shutil.disk_usage(source).free > 1 << 43:
        pytest.skip("this machine has more than 8 TiB free")
    with pytest.raises(ResourceError, match=r"8\.8 TB.*free"):
        store.install(source)
    assert everything_in(edge_home.parent / "home") == []


def limited(source: Path, home: Path, size: int) -> subprocess.CompletedProcess[str]:
    program = (
        "import sys\nfrom pathlib import Path\nfrom edge.bundle.store import install\n"
        "from edge.errors import EdgeError\n"
        "try:\n    install(Path(sys.argv[1]))\n"
        "except EdgeError as error:\n    print(error, error.hint)\n    sys.exit(error.exit_code)\n"
    )

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return subprocess.run(
        [sys.executable, "-c", program, str(source)],
        cwd=ROOT,
        env=os.environ | {"EDGE_HOME": str(home)},
        preexec_fn=limit,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_write_that_is_cut_off_midway_ends_with_exit_6_and_nothing_left(source: Path, edge_home: Path):
    done = limited(source, edge_home, 10_000)
    assert done.returncode == 6, done.stderr
    assert "limit" in done.stdout and "Traceback" not in done.stderr
    assert everything_in(edge_home) == ["bundles"]


FULL_DISK = """
import os, sys
from pathlib import Path
from edge.bundle.store import install
from edge.errors import EdgeError
home = Path(os.environ["EDGE_HOME"])
def fill(name, done, total):
    with open(home / "ballast", "wb", buffering=0) as file:
        try:
            while file.write(bytes(1 << 16)):
                pass
        except OSError:
            pass
try:
    install(Path(sys.argv[1]), progress=fill)
    code = 0
except EdgeError as error:
    print(error, error.hint)
    code = error.exit_code
print(sorted(str(one.relative_to(home)) for one in home.rglob("*")))
sys.exit(code)
"""


def test_a_disk_that_fills_up_midway_ends_with_exit_6_and_nothing_left(tmp_path: Path, edge_home: Path):
    files = sample.contents() | {"more.bin": bytes(4 << 20)}
    source = sample.write(tmp_path / "large", files=files)
    edge_home.mkdir()
    mount = f'mount -t tmpfs -o size=24m tmpfs "{edge_home}" && exec "$0" "$@"'
    command = ["unshare", "-m", "sh", "-c", mount]
    if os.geteuid() != 0 or subprocess.run([*command[:-1], mount.split(" &&")[0]], capture_output=True).returncode:
        pytest.skip("a small tmpfs cannot be mounted here: it needs root and mount namespaces")
    done = subprocess.run(
        [*command, sys.executable, "-c", FULL_DISK, str(source)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 6, done.stdout + done.stderr
    assert "free" in done.stdout
    assert done.stdout.strip().endswith("['ballast', 'bundles']")
