"""Before the first byte of weights.bin: the decoder's matrices are quantised with the help of what reaches them."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from export.calibration import text_flow as texts
from export.calibration.fidelity import Fidelity
from export.calibration.judge import judge
from export.calibration.media_flow import media_flow
from export.calibration.prompts import Prompts
from export.calibration.questions import questions
from export.calibration.solved import SolvedWeights
from export.calibration.solver import Method, Solver
from export.calibration.space import require_scratch

if TYPE_CHECKING:
    from export.plan import ExportPlan


def calibrate(
    plan: "ExportPlan", folder: Path, method: Method, told: Callable[[str], None] = lambda name: None
) -> tuple[SolvedWeights, Fidelity]:
    """Solves every matrix of decoder and adapters into `folder`, and measures with sequences that were kept apart.

    Goes on where an earlier run in `folder` stopped. Raises InputError for texts, recordings or pictures that cannot
    be used, and ResourceError where `folder` has no room for what it needs.
    """
    started = time.monotonic()
    folder.mkdir(exist_ok=True)
    prompts, asked = Prompts(plan, folder), questions(plan)
    media = [(plan.media, graph, items) for graph, items in asked.items() if plan.media]
    tokens = (texts.LEARNED + texts.HELD_OUT) * min(texts.LENGTH, plan.spec.context_length)
    tokens += sum(prompts.length(item) for items in asked.values() for item in items)
    solving = plan.weights_bytes + sum(weight.bytes for weight in plan.solved)
    require_scratch(plan, folder, tokens, (32, plan.options.recipe().encoder.bits), solving)
    flows = [texts.text_flow(prompts, folder), *(media_flow(prompts, folder, *one) for one in media)]
    solved = SolvedWeights(folder)
    Solver(plan.spec, plan.checkpoint, plan.by_role, flows, solved, method, told).run()
    errors = {weight.source.name: solved.error(weight.source.name) for weight in plan.solved}
    modes = {flow.mode: judge(plan, flow) for flow in flows}
    return solved, Fidelity(plan.options.named, modes, errors, seconds=time.monotonic() - started)
