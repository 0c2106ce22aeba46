"""Before the first byte of weights.bin: the decoder's matrices are quantised with the help of what reaches them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from export.calibration import text_flow as texts
from export.calibration.fidelity import Fidelity
from export.calibration.flow import Flow
from export.calibration.judge import judge
from export.calibration.media_flow import held_out, media_flow
from export.calibration.prompts import Prompts
from export.calibration.questions import questions
from export.calibration.solved import SolvedWeights
from export.calibration.solver import Method, Solver
from export.calibration.space import require_scratch
from export.graph.int8_cache import CacheSteps
from export.precision.choose import Precision, choose
from export.precision.matrix_costs import TOKENS
from export.weights.layout import PlacedWeight

if TYPE_CHECKING:
    from export.plan import ExportPlan


Tell = Callable[[str, Sequence[PlacedWeight]], Callable[[str], None]]
"""(what is done, with which matrices) to what hears the name of each when it is."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """`plan`: with the formats that were chosen; `precision` is None if the recipe left no choice; `steps` of an int8
    KV cache, by mode and layer, are empty if there is none."""

    plan: "ExportPlan"
    solved: SolvedWeights
    fidelity: Fidelity
    precision: Precision | None
    steps: dict[str, list[CacheSteps]]


def calibrate(plan: "ExportPlan", folder: Path, method: Method, tell: Tell) -> Calibrated:
    """Chooses formats if there is a budget, solves every matrix of decoder and adapters into `folder`, and measures
    with sequences that were kept apart.

    Goes on where an earlier run in `folder` stopped. Raises InputError for texts, recordings or pictures that cannot
    be used, and ResourceError where `folder` has no room for what it needs.
    """
    started = time.monotonic()
    folder.mkdir(exist_ok=True)
    flows = _flows(plan, folder)
    precision = None
    if plan.options.budget is not None:
        precision = choose(plan, flows, folder, plan.options.budget, _layers(plan, tell))
        plan = plan.refined(precision.formats)
    solved = SolvedWeights(folder)
    told = tell("calibrated", plan.solved)
    Solver(plan.spec, plan.checkpoint, plan.by_role, flows, solved, method, told).run()
    errors = {weight.source.name: solved.error(weight.source.name) for weight in plan.solved}
    modes = {flow.mode: judge(plan, flow) for flow in flows}
    fidelity = Fidelity(plan.options.named, modes, errors, seconds=time.monotonic() - started)
    steps = {flow.mode: flow.learned_steps() for flow in flows} if plan.options.int8_cache else {}
    return Calibrated(plan, solved, fidelity, precision, steps)


def _flows(plan: "ExportPlan", folder: Path) -> list[Flow]:
    prompts, asked = Prompts(plan, folder), questions(plan)
    media = [(plan.media, graph, items) for graph, items in asked.items() if plan.media]
    tokens = (texts.LEARNED + texts.HELD_OUT) * min(texts.LENGTH, plan.spec.context_length)
    tokens += sum(prompts.length(item) for items in asked.values() for item in items)
    more = plan.weights_bytes + sum(weight.bytes for weight in plan.solved)
    if plan.options.budget is not None:
        more += 4 * TOKENS * plan.spec.hidden_size * plan.spec.layers * (1 + len(asked))
    encoders = [32, plan.options.recipe().encoder.bits]
    if plan.options.int8_cache:  # which is measured at the end, beside all of this
        tokens += texts.HELD_OUT * min(texts.LENGTH, plan.spec.context_length)
        tokens += sum(prompts.length(item) for items in asked.values() for item in held_out(items))
        encoders.append(32)
    require_scratch(plan, folder, tokens, encoders, more)
    return [texts.text_flow(prompts, folder), *(media_flow(prompts, folder, *one) for one in media)]


def _layers(plan: "ExportPlan", tell: Tell) -> Callable[[str], None]:
    """Hears of whole layers, once on the way there and once back."""
    told = tell("weighed", [*plan.solved, *plan.solved])

    def layer(name: str) -> None:
        for weight in plan.solved:
            if weight.source.name.startswith(f"{name}.") or f".{name}." in weight.source.name:
                told(weight.source.name)

    return layer
