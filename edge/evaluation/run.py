"""Answers every item with every bundle: one process for each bundle and mode, one after the other."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

from edge import errors
from edge.bundle.bundle import Bundle
from edge.bundle.store import default_bundle, resolve
from edge.errors import EdgeError, ResourceError
from edge.evaluation.labels import Item, read_labels
from edge.evaluation.preflight import check, named
from edge.evaluation.results import Result, Settings, scored
from edge.events import Mode
from edge.foreign.folder import open_model
from edge.turn_options import TurnOptions

MODES: tuple[Mode, ...] = get_args(Mode)


def prepare(
    source: Path,
    bundles: Sequence[str] = (),
    settings: Settings | None = None,
    tools: Path | None = None,
    limit: int | None = None,
) -> "Evaluation":
    """An evaluation of the default bundle, or of `bundles`, on the first `limit` lines of the labels in `source`.

    Everything that can be checked is checked here: raises UsageError, InputError, BundleError.
    """
    settings = settings or Settings()
    options = TurnOptions(max_tokens=settings.max_tokens, max_crops=settings.max_crops)
    items = read_labels(source, tools)[:limit]
    opened = named([open_model(resolve(name)) for name in bundles] or [Bundle.open(default_bundle())])
    for bundle in opened.values():
        options.check_for(bundle.manifest)
    check(items, [*opened.values()])
    return Evaluation(items, opened, settings)


class Evaluation:
    """`results()` once; `stop()`, also from a signal handler, ends it, and what is unfinished is left out."""

    def __init__(self, items: Sequence[Item], bundles: dict[str, Bundle], settings: Settings) -> None:
        self.items, self.bundles, self.settings = items, bundles, settings
        self._stopped = False
        self._child: subprocess.Popen[str] | None = None

    @property
    def wanted(self) -> int:
        """How many results there will be."""
        return len(self.items) * len(self.bundles)

    def stop(self) -> None:
        self._stopped = True
        if self._child:
            self._child.kill()

    def results(self) -> Iterator[Result]:
        """In order of bundle, mode and line. Raises what a bundle that cannot be loaded raises, and ResourceError."""
        for name, bundle in self.bundles.items():
            for mode in MODES:
                items = [item for item in self.items if item.mode == mode]
                if items and not self._stopped:
                    yield from self._part(name, bundle, mode, items)

    def _part(self, name: str, bundle: Bundle, mode: Mode, items: list[Item]) -> Iterator[Result]:
        load_s, left = 0.0, iter(items)
        with self._started({"bundle": str(bundle.path), "mode": mode, "items": [_job(item) for item in items]}) as told:
            for line in told:
                if "error" in line:
                    raise _error(line["error"])
                if "end" in line:
                    return
                if "loaded" in line:
                    load_s = line["loaded"]["load_s"]
                else:
                    yield scored(name, next(left), line["item"], load_s, line["peak_rss_bytes"])
        if not self._stopped:
            at = next(left, items[-1])
            raise ResourceError(
                f"the process that ran {name} in mode {mode} was ended before it could answer line {at.line}",
                "free some memory and try again, or use a smaller bundle or --max-crops",
            )

    @contextlib.contextmanager
    def _started(self, job: dict[str, Any]) -> Iterator[Iterator[dict[str, Any]]]:
        """What the child says, line by line. In a session of its own: a Ctrl-C reaches only us, and we decide."""
        settings = self.settings
        job |= {"threads": settings.threads, "max_tokens": settings.max_tokens, "max_crops": settings.max_crops}
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "edge.evaluation.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )
        self._child = child
        if self._stopped:  # a signal that came while it was being started
            child.kill()
        assert child.stdin and child.stdout
        try:
            with contextlib.suppress(BrokenPipeError), child.stdin:
                child.stdin.write(json.dumps(job))
            yield (json.loads(line) for line in child.stdout if line.endswith("\n"))
        finally:
            child.kill()
            child.stdout.close()
            child.wait()
            self._child = None


def _job(item: Item) -> dict[str, Any]:
    return {
        "prompt": item.prompt,
        "images": [str(path) for path in item.images],
        "audio": [str(path) for path in item.audio],
        "tools": str(item.tools) if item.tools else None,
    }


def _error(told: dict[str, str]) -> EdgeError:
    return getattr(errors, told["class"], EdgeError)(told["message"], told["hint"])
