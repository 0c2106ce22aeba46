"""Which processor a bundle runs on: the one that was asked for, or the fastest that is right."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge.bundle.bundle import Bundle
from edge.bundle.manifest import FIXED
from edge.errors import DeviceError
from edge.providers.plugin import PLUGINS, Plugin, plugin
from edge.providers.probes import parts_of
from edge.providers.trial import LIMIT_S, Verdict, try_processor
from edge.providers.verdicts import known_verdicts, remember

Tell = Callable[[str], None]
"""Hears sentences for the user."""


@dataclass(frozen=True, slots=True)
class Choice:
    """`parts` run on the plugin's device, all others on the CPU."""

    plugin: Plugin
    parts: frozenset[str]


def choose(
    bundle: Bundle,
    mode: str,
    ep: str = "",
    required: bool = False,
    threads: int = 0,
    tell: Tell = lambda _: None,
    plugins: Sequence[Plugin] | None = None,
    limit_s: float | None = None,
) -> Choice | None:
    """None is the CPU. A part runs on the processor `ep` if it is right there; without a name, if it is also faster
    than on the CPU.

    What is not known yet is tried, once for a bundle and a driver, for at most `limit_s`. Raises DeviceError when
    `required` and any part of the mode cannot run there.
    """
    plugins, limit_s = plugins or PLUGINS, limit_s or LIMIT_S
    best: tuple[float, Choice] | None = None
    for one in plugins:
        if not (one.name == ep if ep else one.installed):
            continue
        if problem := _problem(bundle, one):
            _decline(problem, required, tell)
            continue
        verdicts = _judged(bundle, one, parts_of(mode), threads, limit_s, tell)
        for verdict in verdicts.values():
            if verdict.part in parts_of(mode) and not (verdict.correct if ep else verdict.faster):
                problem = DeviceError(f"{one.name} is not used: {verdict.words}", "choose another --ep, or cpu")
                _decline(problem, required, tell)
        parts = {part for part, verdict in verdicts.items() if (verdict.correct if ep else verdict.faster)}
        seconds = sum(v.seconds if v.part in parts else v.cpu_seconds for v in verdicts.values())
        if parts.intersection(parts_of(mode)) and (best is None or seconds < best[0]):
            best = seconds, Choice(one, frozenset(parts))
    if ep and not any(one.name == ep for one in plugins):
        plugin(ep)  # says which there are
    return best[1] if best else None


def _judged(
    bundle: Bundle, one: Plugin, parts: Sequence[str], threads: int, limit_s: float, tell: Tell
) -> dict[str, Verdict]:
    known = known_verdicts(bundle, one)
    if missing := [part for part in parts if part not in known]:
        tell(f"trying {one.name} with {', '.join(missing)}, once: this takes up to {limit_s / 60:.0f} minutes")
        remember(bundle, one, try_processor(bundle, one, missing, threads, limit_s))
        known = known_verdicts(bundle, one)
    return known


def _problem(bundle: Bundle, one: Plugin) -> DeviceError | None:
    if not one.installed:
        return DeviceError(f"{one.name} needs {one.package}, which is not installed", f"pip install {one.package}")
    if not any(name.startswith(FIXED) for name in bundle.manifest.graphs):
        return DeviceError(
            f"the bundle {bundle.manifest.name} has no graphs for {one.name}",
            "make one:  edge export SOURCE OUT --target qnn",
        )
    return None


def _decline(problem: DeviceError, required: bool, tell: Tell) -> None:
    if required:
        raise problem
    tell(f"{problem}: on the CPU instead")
