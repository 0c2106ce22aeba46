"""Microphone, camera, mind and hands around one loop; everything that happens is handled in the thread of `run`."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.devices.health import Health
from edge.devices.microphone import Microphone
from edge.live.actions import load_actions
from edge.live.ear import Ear
from edge.live.hands import Hands
from edge.live.journal import Journal
from edge.live.loop import Loop, Parts
from edge.live.mind import Mind
from edge.live.screen import Screen
from edge.live.utterances import Listening
from edge.live.voice import Voice
from edge.prompt.tools import load_tools
from edge.turn_options import TurnOptions

if TYPE_CHECKING:
    import numpy as np

    from edge.devices.camera import Camera
    from edge.model import Model

TICK_S = 0.2
CLOSING_S = 0.3
"""Devices that are just being looked for are left alone after this; their processes end with ours."""

BACKLOG = 400
"""Blocks of sound that may wait, some ten seconds: after that this machine is too slow, and old ones are worthless."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What `edge listen` was asked for. `microphone` None: the default one; `tools`: a file with functions;
    `keep`: a folder for what is asked and answered."""

    microphone: str | None = None
    camera: str | None = None
    system: str = ""
    prompt: str = ""
    tools: Path | None = None
    speak: str | None = None
    push_to_talk: bool = False
    remember: int = 0
    reply: bool = False
    ahead: bool = True
    keep: Path | None = None
    options: TurnOptions = field(default_factory=TurnOptions)
    listening: Listening = field(default_factory=Listening)


class Listener:
    """Raises what a wish is refused with. `load` opens the bundle; it is called in a thread, devices open meanwhile."""

    def __init__(self, load: "Callable[[], Model]", wishes: Wishes, screen: Screen) -> None:
        self._wishes, self._screen = wishes, screen
        self._tools = load_tools(wishes.tools) if wishes.tools else []
        self._actions = load_actions(wishes.tools) if wishes.tools else {}
        self._voice = Voice(wishes.speak) if wishes.speak else None
        self._ear = Ear(wishes.listening, wishes.push_to_talk)
        self._journal = (
            Journal(wishes.keep, wishes.prompt, wishes.tools, wishes.options.max_crops) if wishes.keep else None
        )
        self._queue: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._stopped = False
        self._heard_of = Health("opening")  # the microphone, as it was told last
        self._loop: Loop | None = None
        self._mind: Mind | None = None
        self._hands = Hands(lambda outcome: self._later("outcome", outcome))
        self._microphone = Microphone(wishes.microphone, self._sound, partial(self._later, "microphone"))
        self._camera = self._open_camera(wishes.camera) if wishes.camera else None
        self._loading = threading.Thread(target=self._load, args=(load,), name="load", daemon=True)
        self._loading.start()

    def run(self) -> None:
        """Until `stop`. Raises what loading the bundle raised."""
        ticked = time.monotonic()
        while not self._stopped:
            with contextlib.suppress(queue.Empty):
                self._queue.get(timeout=TICK_S)()
            if time.monotonic() - ticked >= TICK_S:
                ticked = time.monotonic()
                self._screen.level(self._microphone.level)
                if self._loop:
                    self._loop.tick()

    def stop(self) -> None:
        """From any thread, and from a signal's handler."""
        self._queue.put(self._stop)

    def key(self, key: str) -> None:
        """From any thread."""
        self._later("key", key)

    def close(self) -> None:
        """Devices are free and no process is left when this returns. After `stop` the model may still compute: what
        comes next must be the end of the process."""
        devices = [self._microphone.close, self._camera.close] if self._camera else [self._microphone.close]
        closing = [threading.Thread(target=close, daemon=True) for close in devices]
        give_up = time.monotonic() + CLOSING_S
        for thread in closing:
            thread.start()
        if self._mind:
            self._mind.drop()
        self._hands.close()
        if self._voice:
            self._voice.stop()
        if self._journal:
            self._journal.close(CLOSING_S)
        for thread in closing:
            thread.join(max(0.0, give_up - time.monotonic()))
        if not self._stopped:  # an interpreter that ends while a thread is inside the runtime crashes
            self._loading.join()
            if self._mind:
                self._mind.close()

    def _open_camera(self, source: str) -> "Camera":
        from edge.devices.camera import Camera  # OpenCV only for those who have a camera

        return Camera(source, partial(self._later, "camera"))

    def _stop(self) -> None:
        self._stopped = True

    def _sound(self, samples: "np.ndarray") -> None:
        if self._loop and self._queue.qsize() < BACKLOG:
            self._queue.put(partial(self._loop.sound, samples))

    def _later(self, what: str, *values: Any) -> None:
        self._queue.put(partial(self._now, what, *values))

    def _now(self, what: str, *values: Any) -> None:
        if what == "microphone":
            self._heard_of = values[0]
        if self._loop:
            getattr(self._loop, what)(*values)
        elif what in ("microphone", "camera"):  # the loop is told of the microphone when it begins
            getattr(self._screen, what)(*values)

    def _load(self, load: "Callable[[], Model]") -> None:
        try:
            model = load()
            self._wishes.options.check_for(model.manifest)
            conversation = model.conversation(self._wishes.system, self._tools)
        except Exception as error:
            self._queue.put(partial(self._fail, error))
        else:
            self._queue.put(partial(self._begin, conversation))

    def _fail(self, error: Exception) -> None:
        raise error

    def _begin(self, conversation: Any) -> None:
        wishes = self._wishes
        told = partial(self._later, "told")
        self._mind = Mind(conversation, wishes.options, wishes.prompt, told)
        parts = Parts(
            self._ear, self._mind, self._hands, self._screen, self._actions, self._camera, self._voice, self._journal
        )
        silence_s = 0.0 if wishes.push_to_talk else wishes.listening.end_s
        self._loop = Loop(parts, wishes.remember, wishes.reply, wishes.ahead, silence_s)
        self._loop.microphone(self._heard_of)
