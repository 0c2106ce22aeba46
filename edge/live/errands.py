"""The calls of an answer, one after the other: asked about on the screen unless they are safe, then run."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from edge.events import ToolCall
from edge.live.actions import Action
from edge.live.calls import describe, refusal
from edge.live.outcome import Outcome, failed
from edge.live.screen import Screen, State

if TYPE_CHECKING:
    from edge.live.hands import Hands

ASKED_S = 30.0
"""Without an answer a call is not run."""


READ_S = 0.3
"""A yes that comes sooner was meant for the question before."""


class Errands:
    """`become` tells the state, `done` the results of all calls of a turn, one text for each."""

    def __init__(
        self,
        hands: "Hands",
        actions: Mapping[str, Action],
        screen: Screen,
        become: Callable[[State], None],
        done: Callable[[Sequence[str]], None],
        clock: Callable[[], float],
    ) -> None:
        self._hands, self._actions, self._screen = hands, actions, screen
        self._become, self._done, self._clock = become, done, clock
        self._calls: list[ToolCall] = []
        self._results: list[str] = []
        self._asked_s: float | None = None
        self._stopped = False

    def begin(self, calls: Sequence[ToolCall]) -> None:
        self._calls, self._results, self._stopped = list(calls), [], False
        self._go_on()

    @property
    def asking(self) -> bool:
        return self._asked_s is not None

    def confirm(self, yes: bool) -> None:
        """What the person says to the call that was asked about."""
        if self._asked_s is None or (yes and self._clock() - self._asked_s < READ_S):
            return
        late, self._asked_s = self._clock() - self._asked_s > ASKED_S, None
        if yes and not late:
            self._run()
        else:
            self._not_run("nobody said yes" if late else "the person said no")
            self._go_on()

    def stop(self) -> None:
        """Ends the call that is running; those after it are not run."""
        self._stopped = True
        self._hands.stop()

    def outcome(self, outcome: Outcome) -> None:
        """A call has run."""
        self._came(outcome)
        self._go_on()

    def tick(self) -> None:
        if self._asked_s is not None and self._clock() - self._asked_s > ASKED_S:
            self.confirm(False)

    def _go_on(self) -> None:
        """Until a call runs, one is asked about, or there is none left."""
        while self._calls:
            call = self._calls[0]
            action = self._actions.get(call.name)
            if reason := self._refusal(action, call):
                self._not_run(reason)
            elif action and action.safe:
                return self._run()
            else:
                self._asked_s = self._clock()
                self._become("asking")
                return self._screen.ask(describe(action, call.arguments))
        return self._done(self._results)

    def _refusal(self, action: Action | None, call: ToolCall) -> str:
        if self._stopped:
            return "the person stopped it"
        reason = refusal(action, call.arguments).removeprefix("not run: ").rstrip(".")
        if not reason and action and not action.safe and not self._screen.can_ask:
            return "it is not marked as safe, and nobody can confirm it here"
        return reason

    def _run(self) -> None:
        call = self._calls.pop(0)
        self._become("acting")
        self._hands.run(self._actions.get(call.name), call.arguments)

    def _not_run(self, why: str) -> None:
        self._calls.pop(0)
        self._came(failed(f"not run: {why}"))

    def _came(self, outcome: Outcome) -> None:
        self._screen.outcome(outcome)
        self._results.append(outcome.text)
