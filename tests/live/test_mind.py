"""The model at work while somebody still speaks, with the embedded bundle and a real recording."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import pytest

import edge as phi_edge
from benchmarks.demo import __main__ as demo
from edge.conversation import Conversation
from edge.errors import ResourceError
from edge.events import Done, Encode, Prefill, TextDelta, ToolCall
from edge.live.mind import Mind, Told
from edge.live.utterances import RATE, Utterance
from edge.media.image_file import read_image
from edge.prompt.tools import load_tools
from tests.live.tools_files import PATIENCE_S

OPTIONS = phi_edge.TurnOptions(max_tokens=demo.MAX_TOKENS)
TOOLS = load_tools(demo.FOLDER / "tools.json")


@pytest.fixture(scope="module")
def model() -> phi_edge.Model:
    return phi_edge.load(mode="speech")


def spoken(name: str) -> Utterance:
    import soundfile

    samples, rate = soundfile.read(demo.FOLDER / f"{name}.wav", dtype="float32")
    assert rate == RATE
    return Utterance(samples, 0.0)


COMMAND, QUESTION = spoken("command"), spoken("question")
DISPLAY = read_image(demo.FOLDER / "display.jpg")


class Watched:
    """A mind and all that it tells."""

    def __init__(self, conversation: Any) -> None:
        self.told: queue.Queue[Told] = queue.Queue()
        self.mind = Mind(cast(Conversation, conversation), OPTIONS, "", self.told.put)

    def until_end(self, job: int) -> list[Any]:
        """What is told of the job, the ends of earlier ones left out."""
        found = []
        while True:
            told = self.told.get(timeout=PATIENCE_S)
            if told.job != job:
                continue
            if told.what is None or isinstance(told.what, Exception):
                return [*found, told.what]
            found.append(told.what)


Watch = Callable[[Any], Watched]


@pytest.fixture
def watch() -> Iterator[Watch]:
    made: list[Watched] = []

    def begin(conversation: Any) -> Watched:
        made.append(Watched(conversation))
        return made[-1]

    yield begin
    for one in made:
        one.mind.close()


def answered(events: list[Any]) -> tuple[str, list[ToolCall], str]:
    done = events[-2] if events[-1] is None else events[-1]
    assert isinstance(done, Done) and done.finish_reason != "cancelled"
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    return text, [event for event in events if isinstance(event, ToolCall)], done.mode


def plain(model: phi_edge.Model, said: Utterance, images: list[np.ndarray], tools: Any = ()) -> Any:
    """The answer of a conversation that nothing was computed ahead for."""
    audio = [(said.samples, RATE)]
    return answered(list(model.conversation(tools=tools).generate("", OPTIONS, images=images, audio=audio)))


@pytest.mark.parametrize("images", [[], [DISPLAY]], ids=["speech", "speech and picture"])
def test_what_was_computed_ahead_changes_no_answer(
    model: phi_edge.Model, watch: Watch, images: list[np.ndarray]
) -> None:
    mind = (watched := watch(model.conversation(tools=TOOLS))).mind
    half = Utterance(COMMAND.samples[:20000], 0.0)
    watched.until_end(mind.read_ahead(images))
    mind.answer(half, images)
    mind.drop_answer()
    events = watched.until_end(mind.answer(COMMAND, images))
    assert answered(events) == plain(model, COMMAND, images, TOOLS)
    done = events[-2]
    assert done.usage.reused_tokens >= done.usage.prompt_tokens - done.usage.audio_tokens - 8


def test_a_second_turn_knows_of_the_first_only_when_that_was_kept(model: phi_edge.Model, watch: Watch) -> None:
    mind = (watched := watch(model.conversation())).mind

    def prompt_tokens() -> int:
        done = watched.until_end(mind.answer(QUESTION, []))[-2]
        return done.usage.prompt_tokens

    alone = prompt_tokens()
    assert prompt_tokens() == alone, "the first was never asked"
    mind.keep()
    assert prompt_tokens() > alone
    mind.forget()
    assert prompt_tokens() == alone


def test_what_was_encoded_is_let_go_when_the_conversation_begins_anew(model: phi_edge.Model, watch: Watch) -> None:
    """Else a terminal that answers for months would keep hours of speech."""
    mind = (watched := watch(model.conversation())).mind

    def encoded() -> int:
        return sum(isinstance(event, Encode) for event in watched.until_end(mind.answer(QUESTION, [])))

    encoded()
    assert encoded() == 0, "the same recording is encoded once"
    mind.forget()
    assert encoded() == 1


def test_the_model_goes_on_with_the_results_of_its_calls(model: phi_edge.Model, watch: Watch) -> None:
    mind = (watched := watch(model.conversation(tools=TOOLS))).mind
    first = watched.until_end(mind.answer(COMMAND, []))
    assert answered(first)[1]
    mind.keep()
    second = watched.until_end(mind.answer_results(['{"ok": true}']))[-2]
    assert second.usage.prompt_tokens > first[-2].usage.prompt_tokens


class Scripted:
    """A conversation that says `Prefill` again and again until it is cancelled, and shows what was asked of it."""

    def __init__(self) -> None:
        self.begun: queue.Queue[str] = queue.Queue()
        self.asked, self.cancelled, self.go_on = threading.Event(), threading.Event(), threading.Event()
        self.go_on.set()
        self.error: Exception | None = None

    def copy(self) -> "Scripted":
        return self

    def cancel(self) -> None:
        self.cancelled.set()

    def read_ahead(self, options: Any, images: Any, heard: Any) -> Iterator[Any]:
        return self._work("read ahead" if heard is None else "heard", 3)

    def generate(self, *prompt: Any, **media: Any) -> Iterator[Any]:
        return self._work("answer", 1_000_000_000)

    def _work(self, name: str, count: int) -> Iterator[Any]:
        if self.error:
            raise self.error
        self.asked.set()
        assert self.go_on.wait(PATIENCE_S)
        self.cancelled.clear()
        return self._events(name, count)

    def _events(self, name: str, count: int) -> Iterator[Any]:
        self.begun.put(name)
        for done in range(count):
            if self.cancelled.is_set():
                return
            yield Prefill(done, count) if name == "answer" else Encode("vision", done, count)


def test_a_dropped_job_ends_and_tells_nothing_more(watch: Watch) -> None:
    conversation = Scripted()
    mind = (watched := watch(conversation)).mind
    job = mind.answer(COMMAND, [])
    assert watched.told.get(timeout=PATIENCE_S).job == job
    mind.drop()
    reading = mind.read_ahead([])
    events = watched.until_end(reading)
    assert [type(event) for event in events] == [Encode, Encode, Encode, type(None)]


def test_a_job_that_is_dropped_while_it_begins_does_not_run_on(watch: Watch) -> None:
    """A turn forgets earlier cancels when it starts."""
    conversation = Scripted()
    mind = (watched := watch(conversation)).mind
    conversation.go_on.clear()
    job = mind.answer(COMMAND, [])
    assert conversation.asked.wait(PATIENCE_S)
    mind.drop()
    conversation.go_on.set()
    reading = mind.read_ahead([])
    assert len(watched.until_end(reading)) == 4
    assert reading > job


def test_what_is_being_read_ahead_is_finished_before_the_answer(watch: Watch) -> None:
    """The crops of a picture that were encoded already would otherwise be encoded again."""
    conversation = Scripted()
    conversation.go_on.clear()
    mind = (watched := watch(conversation)).mind
    reading = mind.read_ahead([])
    assert conversation.asked.wait(PATIENCE_S)
    mind.answer(COMMAND, [])
    mind.drop_answer()
    mind.answer(COMMAND, [])
    conversation.go_on.set()
    assert len(watched.until_end(reading)) == 4
    assert [conversation.begun.get(timeout=PATIENCE_S) for _ in range(2)] == ["read ahead", "answer"]
    mind.drop()


def test_more_of_a_long_recording_waits_for_what_is_being_read(watch: Watch) -> None:
    conversation = Scripted()
    conversation.go_on.clear()
    mind = (watched := watch(conversation)).mind
    reading = mind.read_ahead([])
    assert conversation.asked.wait(PATIENCE_S)
    mind.read_ahead([], COMMAND.samples[:10_000])
    more = mind.read_ahead([], COMMAND.samples[:20_000])
    conversation.go_on.set()
    assert len(watched.until_end(reading)) == 4
    assert len(watched.until_end(more)) == 4
    assert [conversation.begun.get(timeout=PATIENCE_S) for _ in range(2)] == ["read ahead", "heard"]
    assert conversation.begun.empty(), "what is out of date is left out"


def test_an_error_ends_the_job_and_not_the_mind(watch: Watch) -> None:
    conversation = Scripted()
    conversation.error = ResourceError("no memory", "a smaller bundle")
    mind = (watched := watch(conversation)).mind
    assert watched.until_end(mind.answer(COMMAND, [])) == [conversation.error]
    conversation.error = None
    assert len(watched.until_end(mind.read_ahead([]))) == 4


@pytest.mark.parametrize("busy", [False, True])
def test_closing_leaves_no_thread(busy: bool) -> None:
    before = threading.active_count()
    watched = Watched(Scripted())
    if busy:
        watched.mind.answer(COMMAND, [])
        watched.told.get(timeout=PATIENCE_S)
    watched.mind.close()
    watched.mind.close()
    assert threading.active_count() == before
