import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import close_session

from edge import download, hub
from edge.bundle.bundle import Bundle
from edge.bundle.store import resolve
from edge.bundle.verify import verify
from edge.errors import BundleError, PullError, UsageError
from tests.bundle import sample
from tests.fake_hub import FakeHub, serve

SHARDS = {f"model-0000{i}-of-00002.safetensors": np.random.default_rng(i).bytes(400_000 + i) for i in (1, 2)}
INDEX = json.dumps({"weight_map": {f"w{i}": name for i, name in enumerate(SHARDS)}}).encode()
CHECKPOINT = SHARDS | {
    "model.safetensors.index.json": INDEX,
    "config.json": b'{"model_type": "phi3"}',
    "generation_config.json": b"{}",
    "tokenizer.json": b"{}",
    "tokenizer_config.json": b"{}",
    "chat_template.jinja": b"{{ messages }}",
}
UNWANTED = {
    "README.md": b"# about",
    "modeling_phi3.py": b"import os",
    "pytorch_model.bin": b"pickle",
    "consolidated.safetensors": b"twice",
    "vision/adapter_model.safetensors": b"elsewhere",
    "tiny-Q4_0.gguf": b"GGUF",
}
BIG = next(iter(SHARDS))


@pytest.fixture(autouse=True)
def edge_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("EDGE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HF_TOKEN", "")
    close_session()
    yield tmp_path / "home"
    close_session()


@pytest.fixture
def start() -> Iterator[Callable[..., FakeHub]]:
    with ExitStack() as stack:

        def start(files: dict[str, bytes], **options: object) -> FakeHub:
            return stack.enter_context(serve(FakeHub(files, large=(*SHARDS, "weights.bin"), **options)))

        yield start


def contents(path: Path) -> dict[str, bytes]:
    return {str(one.relative_to(path)): one.read_bytes() for one in path.rglob("*") if one.is_file()}


def test_a_checkpoint_arrives_with_its_weights_and_without_code_or_pickles(start: Callable[..., FakeHub]):
    server = start(CHECKPOINT | UNWANTED)
    path = hub.pull("owner/tiny", endpoint=server.url)
    assert contents(path) == CHECKPOINT
    assert not any(one.is_symlink() for one in path.rglob("*"))
    assert [one.name for one in path.parent.iterdir()] == ["tiny"]
    assert sorted(server.fetched()) == sorted(CHECKPOINT)


def test_hf_endpoint_is_obeyed_and_asked_for_nothing_but_the_repository(start: Callable[..., FakeHub], tmp_path: Path):
    server = start(CHECKPOINT)
    # a fresh process, because the library reads its variables once and asks for telemetry once
    program = "from edge import hub\nprint(hub.pull('owner/tiny'))"
    env = os.environ | {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "hf")}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert contents(Path(done.stdout.strip())) == CHECKPOINT
    others = [path for path, _ in server.requests if "/resolve/" not in path]
    assert others == ["/api/models/owner/tiny/revision/main"]


def test_progress_ends_at_the_total(start: Callable[..., FakeHub]):
    server = start(CHECKPOINT, drop_after={BIG: [1000, 1000]})
    seen: list[tuple[str, int, int]] = []
    hub.pull("owner/tiny", endpoint=server.url, progress=lambda *step: seen.append(step))
    assert seen[-1][1] == seen[-1][2]
    assert {name for name, _, _ in seen} == set(CHECKPOINT)


def test_a_dropped_connection_is_continued_from_where_it_broke(start: Callable[..., FakeHub]):
    server = start(CHECKPOINT, drop_after={BIG: [100_000, 50_000]})
    path = hub.pull("owner/tiny", endpoint=server.url)
    assert contents(path) == CHECKPOINT
    ranges = [wanted for name, wanted in server.requests if name.endswith(BIG)]
    assert ranges == ["", "bytes=100000-", "bytes=150000-"]


def test_a_server_that_ignores_ranges_starts_the_file_again(start: Callable[..., FakeHub]):
    server = start(CHECKPOINT, drop_after={BIG: [100_000]}, ranges=False)
    assert contents(hub.pull("owner/tiny", endpoint=server.url)) == CHECKPOINT


def test_the_next_pull_continues_an_interrupted_one(start: Callable[..., FakeHub], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(download, "TRIES", 1)
    server = start(CHECKPOINT, drop_after={BIG: [100_000, 0]})
    with pytest.raises(PullError) as caught:
        hub.pull("owner/tiny", endpoint=server.url)
    assert "100000 of 400001" in str(caught.value)
    assert "again" in caught.value.hint
    before = len(server.requests)
    path = hub.pull("owner/tiny", endpoint=server.url)
    assert contents(path) == CHECKPOINT
    again = [(name.split("/")[-1], wanted) for name, wanted in server.requests[before:] if "/resolve/" in name]
    assert again == [(BIG, "bytes=100000-"), (list(SHARDS)[1], "")]


def test_an_earlier_part_that_rotted_is_fetched_again(
    start: Callable[..., FakeHub], edge_home: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(download, "TRIES", 1)
    server = start(CHECKPOINT, drop_after={BIG: [100_000, 0]})
    with pytest.raises(PullError):
        hub.pull("owner/tiny", endpoint=server.url)
    (part,) = (edge_home / "checkpoints").glob(f".tiny.resume-*/{BIG}")
    part.write_bytes(bytes(100_000))
    assert contents(hub.pull("owner/tiny", endpoint=server.url)) == CHECKPOINT


@pytest.mark.parametrize("name", [BIG, "config.json"])
def test_one_wrong_byte_is_an_error_and_leaves_nothing_under_the_name(
    start: Callable[..., FakeHub], edge_home: Path, name: str
):
    server = start(CHECKPOINT, corrupt={name: 7})
    with pytest.raises(PullError, match=r"damaged") as caught:
        hub.pull("owner/tiny", endpoint=server.url)
    assert name in str(caught.value)
    assert caught.value.exit_code == 7
    assert not (edge_home / "checkpoints" / "tiny").exists()
    server.corrupt.clear()
    assert contents(hub.pull("owner/tiny", endpoint=server.url)) == CHECKPOINT


@pytest.mark.parametrize(
    ("status", "words", "hint"),
    [
        (404, "has no owner/tiny", "revision"),
        (401, "refuses", "log in"),
        (403, "refuses", "log in"),
        (500, "500", "again"),
    ],
)
@pytest.mark.parametrize("where", ["/api/", "/owner/"])
def test_a_refusal_is_explained(
    start: Callable[..., FakeHub],
    edge_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    words: str,
    hint: str,
    where: str,
):
    monkeypatch.setattr(download, "TRIES", 1)
    server = start(CHECKPOINT, status={where: status})
    with pytest.raises(PullError) as caught:
        hub.pull("owner/tiny", endpoint=server.url)
    assert words in str(caught.value)
    assert hint in caught.value.hint
    assert "\n" not in str(caught.value)
    assert not (edge_home / "checkpoints" / "tiny").exists()


def test_an_unreachable_hub_is_explained(start: Callable[..., FakeHub], tmp_path: Path):
    with serve(FakeHub({})) as gone:
        url = gone.url
    with pytest.raises(PullError, match="cannot be reached") as caught:
        hub.pull("owner/tiny", endpoint=url)
    assert "network" in caught.value.hint


def test_a_server_that_is_no_hub_is_explained(start: Callable[..., FakeHub], monkeypatch: pytest.MonkeyPatch):
    server = start({})
    monkeypatch.setattr(server, "info", lambda: b"<html>hello</html>")
    with pytest.raises(PullError, match="does not answer like a hub"):
        hub.pull("owner/tiny", endpoint=server.url)


@pytest.mark.parametrize("repo", ["", "a/b/c", "own er/tiny", "owner/", "../x", "owner/.."])
def test_a_name_that_is_no_repository_is_refused_before_any_request(start: Callable[..., FakeHub], repo: str):
    server = start(CHECKPOINT)
    with pytest.raises(UsageError):
        hub.pull(repo, endpoint=server.url)
    assert server.requests == []


def test_an_existing_target_is_refused_before_any_request(start: Callable[..., FakeHub], tmp_path: Path):
    server = start(CHECKPOINT)
    with pytest.raises(UsageError, match="already exists"):
        hub.pull("owner/tiny", endpoint=server.url, out=tmp_path)
    assert server.requests == []


def test_one_gguf_is_taken_alone_and_several_need_a_choice(start: Callable[..., FakeHub], tmp_path: Path):
    server = start({"a-Q4_0.gguf": b"GGUF4", "config.json": b"{}"})
    assert contents(hub.pull("owner/tiny", endpoint=server.url)) == {"a-Q4_0.gguf": b"GGUF4"}
    server.files["b-Q8_0.gguf"] = b"GGUF8"
    with pytest.raises(UsageError, match=r"a-Q4_0\.gguf, b-Q8_0\.gguf"):
        hub.pull("owner/tiny", endpoint=server.url, out=tmp_path / "two")
    path = hub.pull("owner/tiny", endpoint=server.url, out=tmp_path / "two", file="b-Q8_0.gguf")
    assert contents(path) == {"b-Q8_0.gguf": b"GGUF8"}


@pytest.mark.parametrize(
    "files",
    [
        {"pytorch_model.bin": b"pickle", "config.json": b"{}"},
        CHECKPOINT | {"model.safetensors.index.json": b"[]"},
        CHECKPOINT | {"model.safetensors.index.json": b'{"weight_map": {"w": "../../etc/passwd"}}'},
        CHECKPOINT | {"model.safetensors.index.json": b'{"weight_map": {"w": "pytorch_model.bin"}}'},
        CHECKPOINT | {"model.safetensors.index.json": b'{"weight_map": {"w": "absent.safetensors"}}'},
        CHECKPOINT | {"model.safetensors.index.json": b'{"weight_map": {"w": 3}}'},
    ],
)
def test_a_repository_without_safe_weights_is_refused(
    start: Callable[..., FakeHub], edge_home: Path, files: dict[str, bytes]
):
    server = start(files)
    with pytest.raises(PullError):
        hub.pull("owner/tiny", endpoint=server.url)
    assert not (edge_home / "checkpoints" / "tiny").exists()


def bundle_files(tmp_path: Path) -> dict[str, bytes]:
    return contents(sample.write(tmp_path / "made"))


def test_a_pulled_bundle_is_whole_and_found_by_its_name(start: Callable[..., FakeHub], tmp_path: Path):
    files = bundle_files(tmp_path)
    server = start(files | UNWANTED)
    path = hub.pull("owner/tiny", kind="bundle", endpoint=server.url)
    assert contents(path) == files
    assert resolve("tiny") == path
    assert verify(Bundle.open(path)).ok


def test_a_bundle_whose_files_are_not_its_manifests_is_refused(
    start: Callable[..., FakeHub], tmp_path: Path, edge_home: Path
):
    files = bundle_files(tmp_path)
    for broken in (
        files | {"weights.bin": bytes(len(files["weights.bin"]))},
        files | {"tokenizer.json": b"!" * len(files["tokenizer.json"])},
        files | {"bundle.json": files["bundle.json"].replace(b"chatml", b"chatmI")},
        {name: data for name, data in files.items() if name != "text.onnx"},
    ):
        with pytest.raises(BundleError) as caught:
            hub.pull("owner/tiny", kind="bundle", endpoint=start(broken).url)
        assert caught.value.exit_code == 3
        assert list((edge_home / "bundles").iterdir()) == []
    with pytest.raises(PullError, match="not a bundle"):
        hub.pull("owner/tiny", kind="bundle", endpoint=start(CHECKPOINT).url)


def test_without_the_pull_extra_the_remedy_is_named():
    program = (
        "import sys\nsys.modules['huggingface_hub'] = None\nfrom edge import hub\nfrom edge.errors import UsageError\n"
        "try:\n    hub.pull('owner/tiny')\nexcept UsageError as error:\n    print(error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert 'pip install "phi-edge[pull]"' in done.stdout


def test_importing_the_puller_loads_no_network_code():
    program = (
        "import sys, edge.hub\nbanned = ('huggingface_hub', 'httpx', 'httpx2', 'socket', 'numpy')\n"
        "print([name for name in sys.modules if name.split('.')[0] in banned])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_offline_switch_of_the_library_is_explained(start: Callable[..., FakeHub], monkeypatch: pytest.MonkeyPatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(PullError, match="HF_HUB_OFFLINE"):
        hub.pull("owner/tiny", endpoint=start(CHECKPOINT).url)
