"""Before the first byte of weights.bin: the decoder's matrices are quantised with the help of what reaches them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edge.evaluation.labels import LABELS, Item, read_labels
from export.calibration.fidelity import Fidelity
from export.calibration.flow import Flow
from export.calibration.judge import judge
from export.calibration.media_flow import media_flow
from export.calibration.prompts import Prompts
from export.calibration.solved import SolvedWeights
from export.calibration.solver import Method, Solver
from export.calibration.text_flow import text_flow
from export.calibration.texts import DEFAULT_MEDIA

if TYPE_CHECKING:
    from export.plan import ExportPlan


def calibrate(
    plan: "ExportPlan", folder: Path, method: Method, told: Callable[[str], None] = lambda name: None
) -> tuple[SolvedWeights, Fidelity]:
    """Solves every matrix of decoder and adapters into `folder`, and measures with sequences that were kept apart.

    Goes on where an earlier run in `folder` stopped. Raises InputError for texts, recordings or pictures that cannot
    be used.
    """
    folder.mkdir(exist_ok=True)
    prompts = Prompts(plan, folder)
    flows = [text_flow(prompts, folder), *_media_flows(prompts, folder)]
    solved = SolvedWeights(folder)
    Solver(plan.spec, plan.checkpoint, plan.by_role, flows, solved, method, told).run()
    errors = {weight.source.name: solved.error(weight.source.name) for weight in plan.solved}
    return solved, Fidelity(plan.options.named, {flow.mode: judge(plan, flow) for flow in flows}, errors)


def _media_flows(prompts: Prompts, folder: Path) -> Sequence[Flow]:
    """One for each decoder graph that has an adapter; pictures with speech share that of pictures. What a folder of
    the user's has nothing for is learned from the default set."""
    plan = prompts.plan
    if plan.media is None:
        return []
    given = plan.options.calibration
    questions = _by_graph(DEFAULT_MEDIA)
    if given and (given / LABELS).exists():
        questions |= _by_graph(given)
    return [media_flow(prompts, folder, plan.media, graph, items) for graph, items in sorted(questions.items())]


def _by_graph(folder: Path) -> dict[str, list[Item]]:
    found: dict[str, list[Item]] = {}
    for item in read_labels(folder):
        if item.images or item.audio:
            found.setdefault("vision" if item.images else "speech", []).append(item)
    return found
