"""Pull a checkpoint or a bundle from a Hugging Face hub: the only part of phi-edge that opens a socket."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from edge.bundle.files import Progress, read_regular, refuse_existing, require_space
from edge.bundle.manifest import MANIFEST, MAX_MANIFEST_BYTES, Manifest
from edge.bundle.names import name_fault, path_fault, shown
from edge.bundle.staging import StagedDirectory
from edge.bundle.store import bundles_dir, home
from edge.bundle.verify import verify
from edge.download import AGAIN, TIMEOUT_S, RemoteFile, fetch
from edge.errors import BundleError, EdgeError, PullError, UsageError

INDEX = "model.safetensors.index.json"
MAX_INDEX_BYTES = 64 << 20
CHECKPOINT_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
    "preprocessor_config.json",
    "processor_config.json",
)
"""Taken when present, besides the weights; code (*.py) and pickles (*.bin) never are."""

Remote = dict[str, RemoteFile]


def pull(
    repo_id: str,
    revision: str = "main",
    kind: Literal["checkpoint", "bundle"] = "checkpoint",
    *,
    file: str | None = None,
    out: Path | None = None,
    endpoint: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """The directory `out`, complete and checked; by default a bundle goes to the store and a checkpoint beside it.

    `file` names the one GGUF to take where a repository has several. `endpoint` is another hub's address
    (otherwise HF_ENDPOINT or the public hub). An interrupted pull continues when it is called again.
    Raises PullError, BundleError, UsageError (also when huggingface_hub is missing), ResourceError.
    """
    if kind not in ("checkpoint", "bundle"):
        raise UsageError(f"{kind} cannot be pulled.", "Choose checkpoint or bundle.")
    name = repo_id.rsplit("/", 1)[-1]
    if fault := name_fault(name):
        raise UsageError(f"The repository name {ascii(repo_id)[:120]} {fault}.", "Write it as OWNER/NAME.")
    target = out or (bundles_dir() if kind == "bundle" else home() / "checkpoints") / name
    refuse_existing(target)
    hub = _connect(endpoint)
    with _hub_errors(repo_id, revision, hub.endpoint):
        commit, remote = _list_files(hub, repo_id, revision)
        key = hashlib.sha256(f"{repo_id} {commit} {file}".encode()).hexdigest()[:12]
        with StagedDirectory(target, resume=key) as stage:
            receiver = _Receiver(hub, stage.path, progress)
            try:
                if kind == "bundle":
                    _pull_bundle(repo_id, remote, stage.path, receiver)
                else:
                    _pull_checkpoint(repo_id, remote, stage.path, receiver, file)
            except (BundleError, UsageError):
                stage.discard()
                raise
            stage.commit()
    return target


def _pull_bundle(repo_id: str, remote: Remote, path: Path, receive: "_Receiver") -> None:
    if MANIFEST not in remote:
        raise PullError(f"{repo_id} holds no {MANIFEST}, so it is not a bundle.", "Pull it as a checkpoint.")
    receive([remote[MANIFEST]], MAX_MANIFEST_BYTES)
    manifest = Manifest.from_json(read_regular(path, MANIFEST, MAX_MANIFEST_BYTES))
    for name, info in manifest.files.items():
        there = remote.get(name)
        if there is None or there.size != info.size or there.sha256 not in ("", info.sha256):
            raise BundleError(
                f"{repo_id} is not a whole bundle: its {name} is not the one that {MANIFEST} describes.",
                "Tell the owner of the repository, or pull another revision.",
            )
    receive([remote[name] for name in manifest.files])
    report = verify(path)
    if not report.ok:
        raise BundleError(
            f"{repo_id} is not a sound bundle: {report.problems[0]}.", "Tell the owner of the repository."
        )


def _pull_checkpoint(repo_id: str, remote: Remote, path: Path, receive: "_Receiver", file: str | None) -> None:
    if file is None and INDEX in remote:
        receive([remote[INDEX]], MAX_INDEX_BYTES)
    weights = _weights(repo_id, remote, path, file)
    small = [] if weights[0].name.endswith(".gguf") else [name for name in CHECKPOINT_FILES if name in remote]
    receive([remote[name] for name in small] + weights)


def _weights(repo_id: str, remote: Remote, path: Path, file: str | None) -> list[RemoteFile]:
    """The weight files to take: the one asked for, the index's shards, the one safetensors, or the one GGUF."""
    ggufs = [name for name in remote if name.endswith(".gguf")]
    names = [name for name in remote if name.endswith(".safetensors") and "/" not in name]
    if file is not None:
        names = [file]
    elif INDEX in remote:
        try:
            names = sorted(set(json.loads((path / INDEX).read_bytes())["weight_map"].values()))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise PullError(f"{INDEX} of {repo_id} is not a weight index.", "Pull another revision.") from None
    elif "model.safetensors" in names:
        names = ["model.safetensors"]
    elif not names:
        names = ggufs
        if len(ggufs) > 1:
            listed = ", ".join(shown(name) for name in ggufs[:20])
            raise UsageError(f"{repo_id} holds several GGUF files: {listed}.", "Choose one with --file NAME.")
    if not names:
        raise PullError(f"{repo_id} holds no safetensors and no GGUF weights.", "Check the repository's name.")
    for name in names:
        if name not in remote or not name.endswith((".safetensors", ".gguf")):
            raise PullError(f"{repo_id} has no weights file {shown(str(name))}.", "Check the name and revision.")
    return [remote[name] for name in names]


class _Receiver:
    """Fetches lists of files into one directory and adds up their progress."""

    def __init__(self, hub: Any, path: Path, progress: Progress | None) -> None:
        from huggingface_hub.utils import build_hf_headers

        self._headers = build_hf_headers(library_name="phi-edge")
        self._path = path
        self._progress = progress

    def __call__(self, files: list[RemoteFile], max_bytes: int = 1 << 50) -> None:
        from huggingface_hub.utils import get_session

        for file in files:
            if fault := path_fault(file.name):
                raise PullError(f"The file name {ascii(file.name)[:120]} {fault}.", "Pull another revision.")
            if file.size > max_bytes:
                raise PullError(f"{file.name} has {file.size} bytes, more than {max_bytes}.", "Check the name.")
        total = sum(file.size for file in files)
        there = sum(path.stat().st_size for file in files if (path := self._path / file.name).is_file())
        require_space(self._path, total - there, "Pulling")
        done = 0
        for file in files:

            def advance(count: int, name: str = file.name) -> None:
                nonlocal done
                done += count
                if self._progress:
                    self._progress(name, done, total)

            fetch(get_session(), self._headers, file, self._path / file.name, advance)


def _connect(endpoint: str | None) -> Any:
    try:
        from huggingface_hub import HfApi, constants
    except ImportError:
        raise UsageError(
            "edge pull needs the package huggingface-hub, which is not installed.",
            'Install it: pip install "phi-edge[pull]"',
        ) from None
    # the library would otherwise ask the public hub for a list of client names, whatever the endpoint is
    constants.HF_HUB_DISABLE_TELEMETRY = True
    if endpoint is not None and not endpoint.startswith(("http://", "https://")):
        raise UsageError(f"{shown(endpoint)} is not the address of a hub.", "Write it as https://HOST")
    return HfApi(endpoint=endpoint and endpoint.rstrip("/"), library_name="phi-edge")


def _list_files(hub: Any, repo_id: str, revision: str) -> tuple[str, Remote]:
    """(commit id, files by name) of a revision."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.errors import HFValidationError

    foreign = PullError(f"{hub.endpoint} does not answer like a hub.", "Check HF_ENDPOINT and --endpoint.")
    try:
        info = hub.model_info(repo_id, revision=revision, files_metadata=True, timeout=TIMEOUT_S)
    except HFValidationError:
        raise
    except (ValueError, KeyError, TypeError):
        raise foreign from None
    if not info.sha or info.siblings is None:
        raise foreign
    remote = {}
    for one in info.siblings:
        if one.size is None or not one.blob_id:
            continue
        url = hf_hub_url(repo_id, one.rfilename, revision=info.sha, endpoint=hub.endpoint)
        sha256 = one.lfs.sha256 if one.lfs else ""
        remote[one.rfilename] = RemoteFile(one.rfilename, url, one.size, sha256, one.blob_id)
    return info.sha, remote


@contextmanager
def _hub_errors(repo_id: str, revision: str, endpoint: str) -> Iterator[None]:
    """What huggingface_hub and httpx raise, as PullError or UsageError with a remedy."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError, OfflineModeIsEnabled

    where = f"{repo_id} (revision {shown(revision)})"
    try:
        yield
    except EdgeError:
        raise
    except HFValidationError:
        raise UsageError(f"{ascii(repo_id)[:120]} is not a repository name.", "Write it as OWNER/NAME.") from None
    except OfflineModeIsEnabled:
        raise PullError(
            "The network is switched off by HF_HUB_OFFLINE.", "Unset HF_HUB_OFFLINE and try again."
        ) from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            message = f"The hub refuses access to {where}: it is private, gated, or does not exist."
            hint = "Check the name; accept the licence on its web page, and log in: hf auth login"
        elif status == 404:
            message, hint = f"The hub has no {where}.", "Check OWNER/NAME and the revision."
        else:
            message, hint = f"The hub answered {status} when asked for {where}.", AGAIN
        raise PullError(message, hint) from None
    except HTTPError as error:
        raise PullError(
            f"{endpoint} cannot be reached ({type(error).__name__}).", f"Check the network. {AGAIN}"
        ) from None
