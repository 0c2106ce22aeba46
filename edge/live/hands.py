"""Runs calls in a thread of its own, one after the other."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from edge.live.actions import Action
from edge.live.outcome import Outcome, failed
from edge.live.run_action import run_action


class Hands:
    """`done` is called from the thread that ran the call."""

    def __init__(self, done: Callable[[Outcome], None]) -> None:
        self._done = done
        self._cancelled = threading.Event()
        self._thread: threading.Thread | None = None

    def run(self, action: Action | None, arguments: Mapping[str, Any]) -> None:
        """Returns at once. The call before must have ended."""
        self._cancelled = cancelled = threading.Event()

        def work() -> None:
            try:
                outcome = run_action(action, arguments, cancelled)
            except Exception as error:  # whatever it is, who waits for the outcome must get one
                outcome = failed(f"{type(error).__name__}: {error}")
            self._done(outcome)

        self._thread = threading.Thread(target=work, name="hands", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends what is running soon; its outcome says so."""
        self._cancelled.set()

    def close(self) -> None:
        """Ends what is running; its processes are gone when this returns."""
        self.stop()
        if self._thread:
            self._thread.join()
