"""How people are understood whom the model never heard: each speaker of the recordings is held out in turn."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.terminal.language.talk import TRANSCRIBE
from benchmarks.terminal.language.turn import Turn
from benchmarks.terminal.speech.real_digits import SPEAKERS, Digit, load_digits
from benchmarks.terminal.speech.utterance import features
from benchmarks.terminal.training.lora import use
from benchmarks.terminal.training.pipeline import Steps, Training
from benchmarks.terminal.training.speech_stage import SpeechStage
from benchmarks.terminal.training.spoken import Spoken

BATCH = 50


def leave_one_out(work: Path, recordings: Path, steps: int, recitals: Path | None = None) -> dict[str, float]:
    """Share of single digits right of each speaker, after `steps` on the other three from the synthetic stage on."""
    shares = {}
    for speaker in SPEAKERS:
        training = Training(work, replace(Steps(), real=steps), recordings, recitals)
        others = [other for other in SPEAKERS if other != speaker]
        training.train_real(others, f"without-{speaker}")
        shares[speaker] = digits_right(training.speech, load_digits(recordings, [speaker])[speaker])
        print(f"{speaker}: {shares[speaker]:.1%}", flush=True)
    return shares


@torch.no_grad()
def digits_right(stage: SpeechStage, digits: list[Digit]) -> float:
    """Every token of the transcript has the highest logit after those before it: greedy decoding gives the word."""
    stage.model.eval()
    use(stage.model, "speech")
    right = 0
    for start in range(0, len(digits), BATCH):
        said = [digit.utterance for digit in digits[start : start + BATCH]]
        batch = [Spoken(features(one).astype(np.float16), one.text, "digits") for one in said]
        hidden, tokens, _ = stage.encode(batch)
        turns = [Turn(TRANSCRIBE[0], spoken.words) for spoken in batch]
        right += int(stage.answer_loss(turns, hidden, tokens)[1].sum())
    return right / len(digits)
