"""onnxruntime sessions with the options that make a decoder fast and small."""

from pathlib import Path

import onnxruntime as ort

from edge.errors import BundleError, ResourceError, UsageError
from edge.runtime.cores import physical_cores

FATAL = 4
MAX_THREADS = 1024


def session_options(threads: int, plan_reuse: bool = True) -> ort.SessionOptions:
    """0 threads: one per physical core. Raises UsageError; onnxruntime would really start a million threads.

    Without `plan_reuse` buffers are freed and allocated anew: encoders need no more time or memory for that, and are
    opened in a quarter of the time (the plan for a conformer takes two seconds).
    """
    if not 0 <= threads <= MAX_THREADS:
        raise UsageError(f"--threads is {threads}, it must be between 0 and {MAX_THREADS}", "0 takes every core")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or physical_cores()
    options.inter_op_num_threads = 1
    options.log_severity_level = FATAL
    options.enable_cpu_mem_arena = False  # the peak of a prefill would stay resident
    options.enable_mem_pattern = False  # shapes change with every prompt
    options.enable_mem_reuse = plan_reuse
    options.add_session_config_entry("session.force_spinning_stop", "1")
    # weights are packed one after the other: in parallel a 3.8 B model loads a second sooner and needs 1.6 GB more
    options.add_session_config_entry("session.prepack.enable_parallel", "0")
    return options


def open_session(graph: Path, options: ort.SessionOptions) -> ort.InferenceSession:
    """By path, never from bytes: weights are looked up beside the graph. Raises BundleError, ResourceError."""
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except MemoryError:
        raise ResourceError("there is not enough memory to load the model", "use a smaller bundle") from None
    except Exception as error:  # onnxruntime raises classes of its own for everything
        text = str(error)
        if "bad_alloc" in text or "Failed to allocate" in text:
            raise ResourceError("there is not enough memory to load the model", "use a smaller bundle") from None
        raise BundleError(
            f"{graph.name} cannot be loaded: {text.splitlines()[0][:200]}", f"try  edge bundle verify {graph.parent}"
        ) from None
