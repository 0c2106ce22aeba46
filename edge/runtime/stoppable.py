"""Runs of onnxruntime that another thread may stop, and whose failures are sentences."""

from collections.abc import Iterator
from contextlib import contextmanager

import onnxruntime as ort

from edge.errors import EdgeError


class Cancelled(EdgeError):
    """A running call was stopped by `cancel`; the KV cache still holds what it held before the call."""

    exit_code = 130


class Stoppable:
    """Not thread-safe, except for `cancel`. Sessions run with `_run_options`, within `_told`."""

    def __init__(self) -> None:
        self._run_options = ort.RunOptions()

    def cancel(self) -> None:
        """Stops the running call, or the next one; from any thread. `resume` takes it back."""
        self._run_options.terminate = True

    def resume(self) -> None:
        self._run_options.terminate = False

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Raises Cancelled, or EdgeError "`what` failed", for what onnxruntime raises within."""
        try:
            yield
        except Exception as error:
            if self._run_options.terminate:
                raise Cancelled("cancelled") from None
            raise EdgeError(f"{what} failed: {str(error)[:300]}", "try  edge doctor") from None
