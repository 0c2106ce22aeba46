"""The model at work in a thread of its own: one job at a time, and each can be dropped."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge.live.utterances import RATE, Utterance
from edge.turn_options import TurnOptions

if TYPE_CHECKING:
    import numpy as np

    from edge.conversation import Conversation
    from edge.events import Event


@dataclass(frozen=True, slots=True)
class Told:
    """What came of job number `job`: an event, the error that ended it, or None at its end."""

    job: int
    what: "Event | Exception | None"


@dataclass(slots=True, eq=False)
class _Job:
    """`begin` checks everything and returns what then computes. `ahead`: only reads, for whatever is asked next."""

    number: int
    conversation: "Conversation"
    begin: Callable[[], Iterator[Any]]
    ahead: bool = False
    dropped: bool = False


class Mind:
    """Methods return the number of their job, and end the job before. `told` is called from the thread.

    A job works on a copy of the conversation; `keep` makes the copy the conversation, so that what was dropped, or
    computed before it was clear that all had been said, was never asked.
    """

    def __init__(
        self, conversation: "Conversation", options: TurnOptions, prompt: str, told: Callable[[Told], None]
    ) -> None:
        self._conversation, self._options, self._prompt, self._told = conversation, options, prompt, told
        self._start = conversation.copy()
        self._news = threading.Condition()
        self._count = 0
        self._next: _Job | None = None
        self._current: _Job | None = None
        self._closed = self._forgets = False
        self._latest = conversation  # what the latest job works on
        self._thread = threading.Thread(target=self._work, name="mind", daemon=True)
        self._thread.start()

    def read_ahead(self, images: "Sequence[np.ndarray]", heard: "np.ndarray | None" = None) -> int:
        """Reads what is known of the next turn while somebody speaks: it has `images` and a recording that begins with
        `heard`, float32 [N] at 16 kHz. Then what is being read already is not begun again."""
        conversation, audio = self._conversation, None if heard is None else (heard, RATE)
        return self._submit(
            conversation,
            lambda: conversation.read_ahead(self._options, images=images, heard=audio),
            ahead=True,
            keep_reading=heard is not None,
        )

    def answer(self, utterance: Utterance, images: "Sequence[np.ndarray]") -> int:
        """After what is being read ahead, which would otherwise have to be done again."""
        copy = self._conversation.copy()
        audio = [(utterance.samples, RATE)]
        return self._submit(
            copy,
            lambda: copy.generate(self._prompt, self._options, images=images, audio=audio),
            keep_reading=True,
        )

    def answer_results(self, results: Sequence[str]) -> int:
        """Goes on after the calls of the turn that was kept last."""
        copy = self._conversation.copy()
        return self._submit(copy, lambda: copy.answer_tools(results, self._options))

    def keep(self) -> None:
        """The latest job belongs to the conversation."""
        self._conversation = self._latest

    def forget(self) -> None:
        """The next turn is the first one again."""
        self._conversation = self._start.copy()
        self._forgets = True

    def drop(self) -> None:
        """Ends the running job within one token, chunk or window; nothing more of it is told but what is on its way."""
        self._replace(None)

    def drop_answer(self) -> None:
        """As `drop`, but what is being read ahead goes on."""
        self._replace(None, keep_reading=True)

    def close(self) -> None:
        """Ends the job and the thread."""
        with self._news:
            self._closed = True
        self.drop()
        self._thread.join()

    def _submit(
        self,
        conversation: "Conversation",
        begin: Callable[[], Iterator[Any]],
        ahead: bool = False,
        keep_reading: bool = False,
    ) -> int:
        self._count += 1
        self._latest = conversation
        self._replace(_Job(self._count, conversation, begin, ahead), keep_reading)
        return self._count

    def _replace(self, job: _Job | None, keep_reading: bool = False) -> None:
        with self._news:
            self._next = job
            current = self._current
            if current and not (keep_reading and current.ahead):
                current.dropped = True
                current.conversation.cancel()
            self._news.notify()

    def _work(self) -> None:
        while True:
            with self._news:
                self._current = None
                self._news.wait_for(lambda: self._next or self._closed)
                if self._closed:
                    return
                job, self._next = self._next, None
                self._current = job
            assert job
            if self._forgets:
                self._forgets = False
                job.conversation.model.media.forget()
            try:
                for event in self._events(job):
                    self._told(Told(job.number, event))
            except Exception as error:
                if not job.dropped:
                    self._told(Told(job.number, error))

    @staticmethod
    def _events(job: _Job) -> Iterator[Any]:
        """What it yields until it is dropped, and None at its end."""
        events = job.begin()  # a cancel that came before this was forgotten by it
        if not job.dropped:
            for event in events:
                if job.dropped:
                    return
                yield event
        if not job.dropped:
            yield None
