"""What is trained is what runs: batches equal single inputs, and the checkpoint equals the trained model."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.reference_import import import_transformers

torch = pytest.importorskip("torch", reason="training needs torch")

from benchmarks.terminal.language.text_turns import draw_text_turn  # noqa: E402
from benchmarks.terminal.language.turn import Turn  # noqa: E402
from benchmarks.terminal.language.vocabulary import learn_vocabulary  # noqa: E402
from benchmarks.terminal.training import speech_encoder, speech_stage, vision_encoder  # noqa: E402
from benchmarks.terminal.training.answers import answer_loss  # noqa: E402
from benchmarks.terminal.training.checkpoint import write_checkpoint  # noqa: E402
from benchmarks.terminal.training.glimpse import look_at  # noqa: E402
from benchmarks.terminal.training.hearing import hear  # noqa: E402
from benchmarks.terminal.training.lora import AdaptedLinear, adapt, use  # noqa: E402
from benchmarks.terminal.training.model import build  # noqa: E402
from benchmarks.terminal.training.prompts import Renderer, Sequence, pad  # noqa: E402
from benchmarks.terminal.training.schedule import Run  # noqa: E402
from benchmarks.terminal.training.seen import draw_seen  # noqa: E402
from edge.media.crops import image_crops  # noqa: E402
from edge.media.image_file import read_image  # noqa: E402


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return learn_vocabulary(turns=1_500)


@pytest.fixture(scope="module")
def model(tokenizer: Any) -> Any:
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = build(tokenizer)
    adapt(made)
    generator = torch.Generator().manual_seed(1)
    for module in made.modules():
        if isinstance(module, AdaptedLinear):
            for b in module.b.values():
                torch.nn.init.normal_(b.weight, std=0.02, generator=generator)
    return made.eval().requires_grad_(False)


def test_a_clip_in_a_padded_batch_is_encoded_like_the_clip_alone(model: Any) -> None:
    encoder = model.model.embed_tokens_extend.audio_embed.encoder
    features = torch.rand(3, 200, 80, generator=torch.Generator().manual_seed(2)) * 20
    lengths = torch.tensor([200, 61, 133])
    together, tokens = speech_encoder.encode(encoder, features, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone, count = speech_encoder.encode(encoder, features[row : row + 1, :length], torch.tensor([length]))
        assert tokens[row] == count[0] == -(-length // 8)
        assert torch.allclose(together[row, : tokens[row]], alone[0], atol=1e-4)


def test_a_clip_is_encoded_as_transformers_does(model: Any) -> None:
    encoder = model.model.embed_tokens_extend.audio_embed.encoder
    features = torch.rand(1, 150, 80, generator=torch.Generator().manual_seed(3)) * 20
    ours, _ = speech_encoder.encode(encoder, features, torch.tensor([150]))
    assert torch.allclose(ours, encoder(features, None), atol=1e-4)


def test_pieces_are_counted_along_a_path_that_has_as_many_as_the_clip() -> None:
    blank = speech_stage.BLANK
    best = torch.tensor([[blank, 7, 7, blank, 7, 9, blank, blank], [5, 5, blank, 6, 6, 6, 8, 8]])
    count, known = speech_stage.counted(best, torch.tensor([7, 6]), torch.tensor([3, 3]))
    assert count[0].tolist() == [0, 1, 1, 1, 2, 3, 3, 3]
    assert known[0].tolist() == [True] * 7 + [False]
    assert not known[1].any(), "two pieces were found within the six tokens, not three"


def test_what_is_kept_of_a_clip_is_what_the_encoder_made_of_it(model: Any) -> None:
    encoder = model.model.embed_tokens_extend.audio_embed.encoder
    features = np.random.default_rng(3).uniform(0, 20, (123, 80)).astype(np.float16)
    kept = hear(features, encoder)
    wanted, _ = speech_encoder.encode(encoder, torch.from_numpy(features.astype(np.float32))[None], torch.tensor([123]))
    assert kept.shape == (16, wanted.shape[2])
    assert cosine(torch.from_numpy(kept).float(), wanted[0]) > 0.999


def test_what_is_kept_of_a_picture_is_what_the_tower_made_of_its_crops(model: Any) -> None:
    tower = model.model.embed_tokens_extend.image_embed.img_processor
    seen = draw_seen(np.random.default_rng(4), kind="display")
    kept = look_at(seen, tower)
    crops = image_crops(read_image(seen.jpeg), kept.tiling)
    mask, positions = torch.from_numpy(crops.mask), torch.from_numpy(crops.positions)
    wanted = vision_encoder.pool(vision_encoder.encode(tower, torch.from_numpy(crops.pixels()), mask, positions))
    assert kept.features.shape == wanted.shape == (*kept.characters.shape, wanted.shape[3])
    valid = torch.from_numpy(np.stack([m[::2, ::2] for m in crops.mask]))
    assert cosine(torch.from_numpy(kept.features).float()[valid], wanted[valid]) > 0.999


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    """The least similar of the vectors in the last axis."""
    return torch.nn.functional.cosine_similarity(a, b, dim=-1).min().item()


def test_crops_are_encoded_as_transformers_does_up_to_the_used_layer(model: Any) -> None:
    tower = model.model.embed_tokens_extend.image_embed.img_processor
    pixels = torch.randn(2, 3, 448, 448, generator=torch.Generator().manual_seed(4))
    mask = torch.ones(2, 16, 16, dtype=torch.bool)
    positions = torch.arange(256).expand(2, -1)
    reference = tower(pixels, patch_attention_mask=mask, output_hidden_states=True).hidden_states[-2]
    pooled = torch.nn.functional.avg_pool2d(reference.transpose(1, 2).reshape(2, -1, 16, 16), 2).permute(0, 2, 3, 1)
    features = vision_encoder.encode(tower, pixels, mask, positions)
    assert torch.allclose(features.flatten(1, 2), reference, atol=1e-3)
    assert torch.allclose(vision_encoder.pool(features), pooled, atol=1e-3)


def test_the_answer_is_learned_and_the_prompt_is_not(tokenizer: Any) -> None:
    renderer = Renderer(tokenizer)
    sequence = renderer.sequence(Turn("Read the display.", "66.00"), image_tokens=5)
    ids, mask, labels = pad([sequence, renderer.sequence(Turn("Hello", "Hello. How can I help?"))])
    assert ids.shape[1] % 16 == 0
    assert (ids[0] == renderer.image).sum() == 5
    learned = labels[0] >= 0
    assert tokenizer.decode(ids[0][learned].tolist(), skip_special_tokens=False) == "66.00<|end|>"
    assert not (learned & (mask[0] == 0)).any()


def test_embeddings_stand_where_their_placeholders_are(model: Any, tokenizer: Any) -> None:
    """Embedded words in place of two pictures and a recording: the same answers cost the same as after those words."""
    renderer = Renderer(tokenizer)
    turns = [Turn("Read the display.", "66.00"), Turn("", "stop conveyor two")]
    sequences = [renderer.sequence(turns[0], 3), renderer.sequence(turns[1], 2, 4)]
    words = {renderer.image: torch.arange(200, 205), renderer.audio: torch.arange(300, 304)}
    spelled = []
    for sequence in sequences:
        ids = sequence.ids.copy()
        for token, said in words.items():
            places = ids == token
            ids[places], words[token] = said[: places.sum()], said[places.sum() :]
        spelled.append(Sequence(ids, sequence.prompt))
    use(model, "vision")
    embedded = [model.model.embed_tokens(torch.arange(*span)) for span in ((200, 205), (300, 304))]
    loss, right = answer_loss(model, renderer, sequences, *embedded)
    plain, also_right = answer_loss(model, renderer, spelled)
    assert loss.item() == pytest.approx(plain.item(), abs=1e-6)
    assert torch.equal(right, also_right)


def test_every_text_turn_fits_the_vocabulary_and_the_chat_format(tokenizer: Any) -> None:
    renderer, rng = Renderer(tokenizer), np.random.default_rng(5)
    for _ in range(100):
        turn = draw_text_turn(rng)
        sequence = renderer.sequence(turn)
        text = tokenizer.decode(sequence.ids.tolist(), skip_special_tokens=False)
        assert text.endswith("<|end|>") and f"<|user|>{turn.prompt}<|end|><|assistant|>" in text
        assert ("<|tool_call|>" in text) == bool(turn.calls)


def test_the_checkpoint_of_a_model_computes_what_the_model_computes(model: Any, tokenizer: Any, tmp_path: Path) -> None:
    directory = write_checkpoint(model, tokenizer, tmp_path / "checkpoint")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = import_transformers().Phi4MultimodalForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    use(model, None)
    ids = torch.arange(100, 140)[None]
    wanted = model(inputs_embeds=model.model.embed_tokens(ids)).logits
    # the weights are stored in bfloat16
    assert torch.allclose(loaded(ids).logits, wanted, atol=0.05 * wanted.abs().max().item())


@pytest.mark.parametrize("muon", [False, True])
def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path, muon: bool) -> None:
    def run() -> Run:
        torch.manual_seed(0)
        layer = torch.nn.Linear(4, 4)
        matrices = [layer.weight] if muon else []
        return Run(tmp_path / "run.pt", {"layer": layer}, list(layer.parameters()), 10, 0.1, matrices)

    def step(run: Run, upto: int) -> torch.Tensor:
        layer = run.modules["layer"]
        while run.step < upto:
            run.update(layer(torch.full((1, 4), float(run.step))).square().sum())
        return layer.weight.detach().clone()

    straight = step(run(), 8)
    half = run()
    step(half, 4)
    half.save()
    assert torch.equal(step(run(), 8), straight)
