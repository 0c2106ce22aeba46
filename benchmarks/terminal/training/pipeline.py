"""The stages in order, each resumed from its file in the work directory, and the checkpoint in the end."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import nn

from benchmarks.terminal.language.vocabulary import learn_vocabulary
from benchmarks.terminal.speech.real_digits import SPEAKERS, Digit, load_digits
from benchmarks.terminal.speech.recite import load_recitals
from benchmarks.terminal.speech.recite_digits import DIGITS
from benchmarks.terminal.training.both_stage import BothStage, train_both
from benchmarks.terminal.training.checkpoint import write_checkpoint
from benchmarks.terminal.training.lora import adapt
from benchmarks.terminal.training.model import build
from benchmarks.terminal.training.speech_stage import RATE, SpeechStage, train_speech
from benchmarks.terminal.training.text_stage import base_parts, train_text
from benchmarks.terminal.training.tower_stage import TowerStage, train_tower
from benchmarks.terminal.training.vision_stage import VisionStage, train_vision


@dataclass(frozen=True, slots=True)
class Steps:
    """Optimiser steps of each stage; of speech the first part trains the encoder alone."""

    text: int = 2400
    speech: int = 13300
    speech_alone: int = 11400
    real: int = 9200
    tower: int = 8800
    vision: int = 4600
    both: int = 200

    def scaled(self, factor: float) -> "Steps":
        """The same shape in a fraction of the time."""
        return Steps(*(max(1, round(getattr(self, name) * factor)) for name in self.__dataclass_fields__))


class Training:
    """`work` keeps every stage's weights, optimiser and history; `recordings` is the folder of spoken digits,
    `recitals` that of natural voices, if there is one."""

    def __init__(self, work: Path, steps: Steps, recordings: Path | None = None, recitals: Path | None = None) -> None:
        work.mkdir(parents=True, exist_ok=True)
        self.work, self.steps, self.recordings = work, steps, recordings
        self.recitals = load_recitals(recitals) if recitals else []
        talkers = sorted((recitals / DIGITS).glob("talker*")) if recitals else []
        self.recited_digits = load_digits(recitals / DIGITS, [t.name for t in talkers]) if talkers else {}

    @cached_property
    def tokenizer(self) -> Tokenizer:
        file = self.work / "tokenizer.json"
        if not file.exists():
            learn_vocabulary().save(str(file))
        return Tokenizer.from_file(str(file))

    @cached_property
    def model(self) -> nn.Module:
        """With the text base trained, frozen and adapted; nothing learns until a stage says so."""
        model = build(self.tokenizer)
        if self._unfinished("text", self.steps.text):
            train_text(model, self.tokenizer, self.work / "text.pt", self.steps.text)
        for name, module in base_parts(model).items():
            module.load_state_dict(self._weights("text")[name])
        model.requires_grad_(False)
        adapt(model)
        return model

    @cached_property
    def speech(self) -> SpeechStage:
        return SpeechStage(self.model, self.tokenizer)

    @cached_property
    def tower(self) -> TowerStage:
        return TowerStage(self.model)

    @cached_property
    def vision(self) -> VisionStage:
        return VisionStage(self.model, self.tokenizer)

    def train_speech(self) -> None:
        """On synthetic voices only, so that it can be told how people's voices are understood without them."""
        self._learning(self.speech.parameters)
        train_speech(
            self.speech, self.work / "speech.pt", self.steps.speech, self.steps.speech_alone, None, self.recitals
        )

    def train_real(self, speakers: Collection[str] = SPEAKERS, name: str = "real") -> None:
        """Goes on from the synthetic stage with the recordings of `speakers`."""
        path = self.work / f"{name}.pt"
        if not path.exists():
            self.load("speech", self.speech.modules)
        self._learning(self.speech.parameters)
        real = self._real(speakers)
        train_speech(self.speech, path, self.steps.real, 0, real, self.recitals, rate=0.7 * RATE, seed=51)

    def train_tower(self) -> None:
        self._learning(self.tower.parameters)
        train_tower(self.tower, self.work / "tower.pt", self.steps.tower)

    def train_vision(self) -> None:
        self.load("tower", self.tower.modules)
        self._learning(self.vision.parameters)
        train_vision(self.vision, self.work / "vision.pt", self.steps.vision)

    def train_both(self) -> None:
        stage = BothStage(self.vision, self.speech)
        self.load("real" if (self.work / "real.pt").exists() else "speech", self.speech.modules)
        self.load("tower", self.tower.modules)
        self.load("vision", self.vision.modules)
        self._learning(stage.parameters)
        train_both(stage, self.work / "both.pt", self.steps.both)

    def assemble(self) -> nn.Module:
        """The model with the newest weights of every stage that has any."""
        both = BothStage(self.vision, self.speech)
        stages = {"speech": self.speech, "real": self.speech, "tower": self.tower, "vision": self.vision, "both": both}
        for name, stage in stages.items():
            if (self.work / f"{name}.pt").exists():
                self.load(name, stage.modules)
        return self.model.eval()

    def write(self, directory: Path) -> Path:
        return write_checkpoint(self.assemble(), self.tokenizer, directory)

    def load(self, stage: str, modules: Mapping[str, nn.Module]) -> None:
        weights = self._weights(stage)
        for name, module in modules.items():
            module.load_state_dict(weights[name])

    def _weights(self, stage: str) -> dict[str, dict[str, torch.Tensor]]:
        return torch.load(self.work / f"{stage}.pt", weights_only=True)["modules"]

    def _unfinished(self, stage: str, steps: int) -> bool:
        path = self.work / f"{stage}.pt"
        return not path.exists() or torch.load(path, weights_only=True)["step"] < steps

    def _learning(self, parameters: Sequence[nn.Parameter]) -> None:
        self.model.requires_grad_(False)
        self.model.train()
        for parameter in parameters:
            parameter.requires_grad_(True)

    def _real(self, speakers: Collection[str]) -> list[dict[str, list[Digit]]]:
        """Recordings of people and, if there are any, of talkers that nobody is."""
        if self.recordings is None:
            raise SystemExit("the real stage needs --recordings, the folder of spoken digits")
        people = load_digits(self.recordings, speakers)
        return [people, self.recited_digits] if self.recited_digits else [people]
