"""Speech over 40 s: when it ends, all windows of the encoder but the last have been encoded already."""

import queue
from typing import Any

import numpy as np

import edge as phi_edge
from benchmarks.demo import __main__ as demo
from edge.events import Done, Encode
from edge.live.ear import Ear
from edge.live.loop import Loop, Parts
from edge.live.mind import Mind, Told
from edge.live.utterances import RATE, Listening
from edge.media.audio_file import read_audio
from edge.turn_options import TurnOptions
from tests.live.parts import LIVE, RecordingHands, RecordingScreen
from tests.live.tools_files import PATIENCE_S

OPTIONS = TurnOptions(max_tokens=8)


def long_speech(seconds: float) -> np.ndarray:
    command = read_audio(demo.FOLDER / "command.wav").samples
    return np.resize(command, int(seconds * RATE)).astype(np.float32)


def test_only_the_last_window_is_left_when_long_speech_ends() -> None:
    model = phi_edge.load(mode="speech")
    told: queue.Queue[Told] = queue.Queue()
    mind = Mind(model.conversation(), OPTIONS, "", told.put)
    ear = Ear(Listening(), push_to_talk=True)
    loop = Loop(Parts(ear, mind, RecordingHands(), screen := RecordingScreen()))  # type: ignore[arg-type]
    loop.microphone(LIVE)

    def until(wanted: type) -> Any:
        """The next one of this kind that the mind tells of; its number of encoded windows on the way."""
        encoded = 0
        while True:
            news = told.get(timeout=PATIENCE_S)
            loop.told(news)
            encoded += isinstance(news.what, Encode)
            if isinstance(news.what, wanted):
                return news.what, encoded

    speech = long_speech(87.0)
    loop.key("space")
    for start in range(0, len(speech), RATE):
        loop.sound(speech[start : start + RATE])
        if start in (44 * RATE, 85 * RATE):  # the person speaks no faster than the encoder works
            assert until(Encode)[0].done == 1 + start // (80 * RATE)
    loop.key("space")
    done, encoded = until(Done)
    mind.close()
    assert encoded == 1
    (report,) = screen.all("turn")
    assert report.utterance.seconds > 86
    plain = model.conversation().generate("", OPTIONS, audio=[(report.utterance.samples, RATE)])
    assert [event.text for event in plain if isinstance(event, Done)] == [done.text]
