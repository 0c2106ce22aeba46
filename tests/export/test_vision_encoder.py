"""The vision graphs against transformers (eager) and against a small reference of our own."""

from typing import Any

import numpy as np
import pytest

from export.architectures.vision import TOWER
from quant.formats import BlockFormat, ChannelFormat, FloatFormat, WeightFormat
from tests.export.vision_reference import (
    LAYERS,
    PATCH,
    SIDE,
    VISION,
    Image,
    VisionGraphs,
    hidden_keys,
    random_model,
    reference_embeddings,
    reference_features,
    save_checkpoint,
)

IMAGES = {
    "full": Image(1, 1, 448, 448),
    "landscape with an odd row": Image(1, 2, 263, 896),
    "portrait with an odd column": Image(2, 1, 896, 347),
    "tiny": Image(1, 1, 280, 448),
    "one column in the last crop": Image(1, 2, 448, 449),
}
FULL = IMAGES["full"]


@pytest.fixture(scope="module")
def model() -> Any:
    return random_model()


@pytest.fixture(scope="module")
def exported(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A function from a format to the graphs, each built once."""
    root = tmp_path_factory.mktemp("vision")
    checkpoint = save_checkpoint(model, root / "checkpoint")
    made: dict[WeightFormat, VisionGraphs] = {}

    def graphs(fmt: WeightFormat) -> VisionGraphs:
        if fmt not in made:
            made[fmt] = VisionGraphs(checkpoint, fmt, root / str(len(made)))
        return made[fmt]

    return graphs


@pytest.fixture(scope="module")
def float_graphs(exported: Any) -> VisionGraphs:
    return exported(FloatFormat())


def cosines(ours: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """One per feature vector."""
    assert ours.shape == reference.shape
    norms = np.linalg.norm(ours, axis=-1) * np.linalg.norm(reference, axis=-1)
    return np.einsum("...h,...h->...", ours, reference) / norms


@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES.keys())
def test_features_of_every_crop_are_those_of_transformers(image: Image, model: Any, float_graphs: VisionGraphs) -> None:
    """Padding included: a pooled cell may be half padding."""
    ours, reference = float_graphs.image_features(image), reference_features(model, image)
    assert cosines(ours, reference).min() >= 0.9999
    assert np.abs(ours - reference).max() <= 2e-5


@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES.keys())
def test_embeddings_of_an_image_are_those_of_transformers(image: Image, model: Any, float_graphs: VisionGraphs) -> None:
    """Rows, row ends, the end of the grid and the global view, in the order of the port's own assembly."""
    ours, reference = float_graphs.embeddings(image), reference_embeddings(model, image)
    assert cosines(ours, reference).min() >= 0.9999
    assert np.abs(ours - reference).max() <= 1e-5


def own_features(model: Any, image: Image, causal: bool) -> np.ndarray:
    """The tower in plain torch for crops without padding, with attention written out."""
    import torch
    from torch.nn import functional

    weights = {name.removeprefix(TOWER): values for name, values in model.state_dict().items()}

    def linear(x: Any, name: str) -> Any:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(x: Any, name: str) -> Any:
        return functional.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], 1e-6)

    def heads(x: Any) -> Any:
        return x.unflatten(-1, (VISION["num_attention_heads"], -1)).transpose(1, 2)

    patch, table = "embeddings.patch_embedding", weights["embeddings.position_embedding.weight"]
    pixels = torch.from_numpy(image.pixels)
    grid = functional.conv2d(pixels, weights[f"{patch}.weight"], weights[f"{patch}.bias"], stride=PATCH)
    x = grid.flatten(2).transpose(1, 2) + table
    later = torch.full((SIDE**2, SIDE**2), -torch.inf).triu(1) if causal else 0
    for index in range(LAYERS - 1):
        layer = f"encoder.layers.{index}"
        y = norm(x, f"{layer}.layer_norm1")
        q, k, v = (heads(linear(y, f"{layer}.self_attn.{one}_proj")) for one in "qkv")
        scores = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5 + later
        attended = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
        x = x + linear(attended, f"{layer}.self_attn.out_proj")
        wide = linear(norm(x, f"{layer}.layer_norm2"), f"{layer}.mlp.fc1")
        x = x + linear(functional.gelu(wide, approximate="tanh"), f"{layer}.mlp.fc2")
    cells = x.transpose(1, 2).unflatten(-1, (SIDE, SIDE))
    return functional.avg_pool2d(cells, 2).flatten(2).transpose(1, 2).numpy()


def test_attention_is_bidirectional_as_in_the_original(model: Any, float_graphs: VisionGraphs) -> None:
    """Other kernels of the port may run full crops causally, so eager agreement alone would prove little."""
    ours = float_graphs.image_features(FULL)
    assert cosines(ours, own_features(model, FULL, causal=False)).min() >= 0.9999
    assert cosines(ours, own_features(model, FULL, causal=True)).min() < 0.95


def test_the_first_patch_sees_the_last_and_no_other_crop(float_graphs: VisionGraphs) -> None:
    pixels, visible = FULL.pixels, hidden_keys(FULL.visible)
    before = float_graphs.features(pixels, FULL.positions, visible)
    pixels[1, :, -PATCH:, -PATCH:] *= -1
    after = float_graphs.features(pixels, FULL.positions, visible)
    assert np.abs(after[1, 0] - before[1, 0]).max() > 1e-4
    assert np.array_equal(after[0], before[0])


@pytest.mark.parametrize("fmt", [FloatFormat(), ChannelFormat()], ids=["float", "int8"])
def test_a_crop_gives_the_same_features_alone_and_in_a_batch(fmt: WeightFormat, exported: Any) -> None:
    graphs, image = exported(fmt), IMAGES["landscape with an odd row"]
    together = graphs.image_features(image)
    arrays = image.pixels, image.positions, hidden_keys(image.visible)
    for index, expected in enumerate(together):
        alone = graphs.features(*(array[index : index + 1] for array in arrays))
        assert np.abs(alone[0] - expected).max() <= 1e-5


@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES.keys())
def test_padding_may_be_cut_off_before_the_call(image: Image, float_graphs: VisionGraphs) -> None:
    """To whole 2×2 cells, from the right and the bottom; what is left does not change."""
    whole, half = float_graphs.image_features(image), SIDE // 2
    keys, positions = hidden_keys(image.visible), image.positions.reshape(-1, SIDE, SIDE)
    for index, mask in enumerate(image.visible):
        high, wide = (-(-int(count) // 2) * 2 for count in (mask[:, 0].sum(), mask[0].sum()))
        pixels = image.pixels[index : index + 1, :, : high * PATCH, : wide * PATCH]
        ids, bias = (array[index, :high, :wide].reshape(1, -1) for array in (positions, keys))
        expected = whole[index].reshape(half, half, -1)[: high // 2, : wide // 2]
        assert np.abs(float_graphs.features(pixels, ids, bias).reshape(expected.shape) - expected).max() <= 1e-5


def test_any_large_negative_bias_hides_a_patch(float_graphs: VisionGraphs) -> None:
    image = IMAGES["portrait with an odd column"]
    expected = float_graphs.image_features(image)
    for value in (-1e4, -1e9, -np.inf):
        features = float_graphs.features(image.pixels, image.positions, hidden_keys(image.visible, value))
        assert np.abs(features - expected).max() <= 1e-5


@pytest.mark.parametrize("value", [float(np.finfo(np.float32).min), -np.inf])
def test_a_crop_of_nothing_but_padding_has_finite_features(value: float, float_graphs: VisionGraphs) -> None:
    nothing = hidden_keys(np.zeros((2, SIDE, SIDE), bool), value)
    assert np.isfinite(float_graphs.features(FULL.pixels, FULL.positions, nothing)).all()


@pytest.mark.parametrize(
    ("fmt", "least"),
    [(ChannelFormat(), 0.999), (BlockFormat(8, 32), 0.999), (BlockFormat(8, 32, activation_bits=16), 0.999)],
    ids=["per channel", "blocks", "blocks and 16-bit activations"],
)
def test_int8_features_and_embeddings_point_the_same_way(
    fmt: WeightFormat, least: float, model: Any, exported: Any
) -> None:
    """In every format a Linear layer can have, also when its width is no multiple of the block."""
    graphs, image = exported(fmt), IMAGES["landscape with an odd row"]
    features = cosines(graphs.image_features(image), reference_features(model, image))
    embeddings = cosines(graphs.embeddings(image), reference_embeddings(model, image))
    print(f"lowest cosine: features {features.min():.6f}, embeddings {embeddings.min():.6f}")
    assert features.min() >= least
    assert embeddings.min() >= least
