"""After the last byte of weights.bin: what was written is measured against the checkpoint, with the same sequences that
calibration keeps apart."""

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edge.bundle.manifest import PREFILL
from edge.errors import BundleError, InputError
from edge.evaluation.labels import Item
from export.architectures.weights import FAST
from export.calibration import text_flow as texts
from export.calibration.fidelity import INT8_CACHE, Fidelity, ModeFidelity
from export.calibration.flow import Flow
from export.calibration.judge import judge
from export.calibration.media_flow import held_out, media_flow
from export.calibration.prompts import Prompts
from export.calibration.questions import questions
from export.calibration.side_by_side import SideBySide
from export.calibration.space import require_scratch
from export.calibration.stored import StoredWeights
from export.graphs import WEIGHTS, Steps

if TYPE_CHECKING:
    from export.plan import ExportPlan


def measure(
    plan: "ExportPlan",
    bundle: Path,
    folder: Path,
    told: Callable[[str], None] = lambda name: None,
    steps: Steps | None = None,
) -> Fidelity:
    """Of the weights and encoder graphs in `bundle`; `folder` is for what flows. With `steps` of an int8 KV cache only
    what that one does, for calibration has measured the rest. A model that cannot hold a conversation or read our texts
    is measured with what is left, and the notes say so. Raises ResourceError."""
    started = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    stored, notes = StoredWeights(bundle / WEIGHTS), list[str]()
    try:
        prompts = Prompts(plan, folder, stored)
    except BundleError as error:  # a tokenizer that the runtime cannot read either
        return Fidelity("", {}, {}, [f"nothing is measured: {error}"])
    asked = _answerable(prompts, notes)
    tokens = texts.HELD_OUT * min(texts.LENGTH, plan.spec.context_length)
    tokens += sum(prompts.length(item) for items in asked.values() for item in held_out(items))
    require_scratch(plan, folder, tokens, (32,) if asked else ())
    modes: dict[str, ModeFidelity] = {}
    errors: dict[str, float] = {}
    for suffix, name in _variants(plan, bool(steps)):
        flows = _flows(prompts, folder, bundle, asked, notes)
        for flow in flows:
            flow.cached = steps[flow.mode] if steps else ()
        compared = SideBySide(plan.checkpoint, plan.by_role, stored, flows, suffix, told)
        compared.run(plan.spec.layers)
        errors |= compared.errors
        modes |= {flow.mode + name: judge(plan, flow, stored) for flow in flows}
        for flow in flows:
            flow.leave(plan.spec.layers)
    return Fidelity("", modes, errors, list(dict.fromkeys(notes)), time.monotonic() - started)


def _variants(plan: "ExportPlan", int8_cache: bool) -> Iterator[tuple[str, str]]:
    """Suffixes of the matrices and of the mode."""
    yield "", INT8_CACHE if int8_cache else ""
    if plan.options.fast_prefill and not int8_cache:
        yield FAST, PREFILL


def _answerable(prompts: Prompts, notes: list[str]) -> dict[str, list[Item]]:
    """Held-out questions by decoder graph; none where the chat format cannot ask them, or memory is too small."""
    found = {}
    asked = questions(prompts.plan)
    if asked and 0 < prompts.plan.options.max_ram < prompts.plan.media_ram:
        notes.append(_too_small(prompts.plan, asked))
        return {}
    for graph, items in asked.items():
        try:
            for item in held_out(items):
                prompts.length(item)
            found[graph] = items
        except (BundleError, InputError) as error:
            notes.append(f"the mode {graph} is not measured: {error}")
    return found


def _too_small(plan: "ExportPlan", modes: Iterable[str]) -> str:
    needed, allowed = -(-plan.media_ram // 10**6), plan.options.max_ram // 10**6
    named = " and ".join(modes)
    return f"the modes {named} are not measured: that needs about {needed} MB, --max-ram allows {allowed} MB"


def _flows(prompts: Prompts, folder: Path, bundle: Path, asked: dict[str, list[Item]], notes: list[str]) -> list[Flow]:
    media, flows = prompts.plan.media, []
    try:
        flows.append(texts.text_flow(prompts, folder, learn=False, notes=notes))
    except InputError as error:
        notes.append(f"the mode text is not measured: {error}")
    if media:
        flows += [media_flow(prompts, folder, media, graph, items, bundle) for graph, items in asked.items()]
    return flows
