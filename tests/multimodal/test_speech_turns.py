"""Turns with recordings of any length, number and sample rate answer as the original model does."""

import pytest

import edge
from tests.multimodal.reference import Reference
from tests.multimodal.turns import (
    TOLERANCE,
    RecordedConversation,
    ask,
    clips_of,
    picture,
    pictures_of,
    recording,
    worst_difference,
)

TOKENS = {0.2: 3, 3.7: 46, 39.9: 499, 40.1: 501, 95: 1188}
"""ceil(frames / 8), frames = floor((samples - 400) / 160) + 1."""


@pytest.mark.parametrize("seconds", TOKENS)
def test_a_recording_of_any_length_is_answered_as_by_transformers(
    seconds: float, conversation: RecordedConversation, reference: Reference
) -> None:
    """A single clip: the port and the original agree, also beyond 40 s, where frames are encoded in windows."""
    source = recording(seconds, seed=10)
    turn = ask(conversation, audio=[source])
    assert turn.done.usage.audio_tokens == TOKENS[seconds]
    windows = -(-TOKENS[seconds] // 500)
    assert turn.of(edge.Encode) == [edge.Encode("speech", n + 1, windows) for n in range(windows)]
    worst = worst_difference(reference, turn, clips_of(source))
    print(f"{seconds} s, {TOKENS[seconds]} tokens: {worst:.1e}")
    assert worst <= TOLERANCE


@pytest.mark.parametrize("lengths", [(1.2, 4.0), (43.0, 2.0), (1.2, 41.0, 42.5)], ids=str)
@pytest.mark.parametrize("with_picture", [False, True], ids=["alone", "beside a picture"])
def test_several_clips_of_a_turn_do_not_hear_each_other(
    lengths: tuple[float, ...], with_picture: bool, conversation: RecordedConversation, reference: Reference
) -> None:
    """As in the original code, where -inf hides padding; the port adds 0 and 1 there and hides nothing."""
    sources = [recording(seconds, seed=seed) for seed, seconds in enumerate(lengths)]
    images = [picture(200, 200)] if with_picture else []
    turn = ask(conversation, images=images, audio=sources)
    clips = clips_of(*sources)
    assert turn.done.usage.audio_tokens == sum(clip.tokens for clip in clips)
    worst = worst_difference(reference, turn, clips, pictures_of(*images))
    print(f"{lengths}, picture {with_picture}: {worst:.1e}")
    assert worst <= TOLERANCE


def test_the_padding_of_a_last_window_is_heard_by_a_single_clip_only(
    model: edge.Model, conversation: RecordedConversation, reference: Reference
) -> None:
    """Both halves of the rule make a difference that the comparisons above would see."""
    long, short = recording(43.0), recording(2.0, seed=1)
    ask(conversation, limit=1, audio=[long])
    alone = model.sequence.media[0].embeddings
    ask(RecordedConversation(model), limit=1, audio=[long, short])
    beside = model.sequence.media[0].embeddings
    assert alone.shape == beside.shape
    assert abs(alone[:500] - beside[:500]).max() == 0, "only the last window is padded"
    assert abs(alone[500:] - beside[500:]).max() > 0.1


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_other_sample_rates_are_heard_with_as_many_tokens_and_answered_exactly(
    rate: int, conversation: RecordedConversation, reference: Reference
) -> None:
    source = recording(2.5, rate)
    turn = ask(conversation, limit=8, audio=[source])
    (clip,) = clips_of(source)
    assert turn.done.usage.audio_tokens == clip.tokens == 31
    above_4_khz = clip.features[:, 66:]  # the filter of number 66 is centred at 4.9 kHz
    assert (above_4_khz.max() == 0) == (rate == 8_000)
    assert worst_difference(reference, turn, [clip]) <= TOLERANCE
