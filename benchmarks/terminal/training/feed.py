"""Endless training examples made in a process of their own, and a pool from which batches are drawn.

Making an example costs about as much time as learning from it, so the pool hands each out several times while new ones
replace the oldest.
"""

import os
import queue
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from typing import Any

import numpy as np

POLITE = 2
"""Niceness of the maker: the training goes first."""


class Feed:
    """`draw(rng)` makes one example; `size` of them are kept, and each is handed out `reuse` times on average."""

    def __init__(self, draw: Callable[[np.random.Generator], Any], seed: int, size: int, reuse: int = 3) -> None:
        context = get_context("fork")
        self._queue: Any = context.Queue(maxsize=64)
        self._size, self._pool, self._next = size, [], 0
        self.made = self._used = 0
        self._reuse = reuse
        self._maker = context.Process(target=_make, args=(draw, seed, self._queue), daemon=True)
        self._maker.start()

    def close(self) -> None:
        self._maker.kill()

    def fill(self, count: int) -> None:
        """Waits until there are `count` examples."""
        while len(self._pool) < count:
            self._add(self._queue.get())

    def seen(self) -> list[Any]:
        """The examples at hand."""
        return list(self._pool)

    def batches(
        self,
        rng: np.random.Generator,
        batch: int,
        length: Callable[[Any], Any],
        prepare: Callable[[Any], Any] = lambda example: example,
    ) -> Iterator[list[Any]]:
        """Endless batches of examples, each made ready by `prepare`, of similar `length`."""
        while True:
            count = min(len(self._pool), batch * 16)
            chosen = [prepare(self._pool[i]) for i in rng.choice(len(self._pool), count, replace=False)]
            chosen.sort(key=length)
            groups = [chosen[i : i + batch] for i in range(0, len(chosen) - batch + 1, batch)]
            for i in rng.permutation(len(groups)):
                self._used += batch
                self._take_new()
                yield groups[i]

    def _take_new(self) -> None:
        while self.made * self._reuse < self._used + self._size:
            try:
                self._add(self._queue.get_nowait())
            except queue.Empty:
                return

    def _add(self, examples: list[Any] | Exception) -> None:
        if isinstance(examples, Exception):
            raise examples
        for example in examples:
            self.made += 1
            if len(self._pool) < self._size:
                self._pool.append(example)
            else:
                self._pool[self._next] = example
                self._next = (self._next + 1) % self._size


def _make(draw: Callable[[np.random.Generator], Any], seed: int, out: Any) -> None:
    os.nice(POLITE)
    rng = np.random.default_rng(seed)
    try:
        while True:
            out.put([draw(rng) for _ in range(8)])
    except Exception as error:  # the training must not go on with what there is
        out.put(error)
