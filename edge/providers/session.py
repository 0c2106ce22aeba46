"""Sessions on a plugin's device, and what of a graph really runs there."""

from collections import Counter
from pathlib import Path

import onnxruntime as ort

from edge.errors import DeviceError
from edge.providers.native_stdout import vendor_messages_to_stderr
from edge.providers.plugin import Plugin
from edge.runtime.session import session_options


def open_on(
    plugin: Plugin, graph: Path, threads: int = 0, whole: bool = True, context: Path | None = None
) -> ort.InferenceSession:
    """A graph on the plugin's first device; `whole` refuses a graph of which a node would stay on the CPU.

    `context` is where to save what the plugin has compiled, an ONNX file with a binary beside it. Raises DeviceError.
    """
    options = session_options(threads)
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if whole:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    if context:
        for key, value in (("enable", "1"), ("file_path", str(context)), ("embed_mode", "0")):
            options.add_session_config_entry(f"ep.context_{key}", value)
    try:
        with vendor_messages_to_stderr():
            return plugin.open(graph, options)
    except DeviceError:
        raise
    except Exception as error:  # onnxruntime raises classes of its own for everything
        if "fallback to CPU EP has been explicitly disabled" in str(error):
            raise DeviceError(
                f"{plugin.name} does not take all of {graph.name}", "leave --require-ep away, or choose another --ep"
            ) from None
        raise DeviceError(
            f"{plugin.name} cannot load {graph.name}: {str(error).splitlines()[0][:200]}", "choose another --ep"
        ) from None


def placement(session: ort.InferenceSession) -> dict[str, int]:
    """Nodes of the graph per provider; the session must be one of `open_on`. Nothing where onnxruntime is too old."""
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return {}
    counts: Counter[str] = Counter()
    for part in session.get_provider_graph_assignment_info():
        counts[part.ep_name] += len(part.get_nodes())
    return dict(counts)
