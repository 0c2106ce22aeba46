"""Sizes of crops and patches. No imports: bundle.json is checked with them before anything heavy is loaded."""

CROP = 448
"""Pixels on each side of a crop, in every relative of the model."""

PATCH = 14
"""Pixels on each side of a patch in the released model."""

PATCH_SIZES = (7, 14, 28, 56)
"""What relatives of it may have. A crop is then 64, 32, 16 or 8 patches wide: position ids are fractions of that width
in float32, which only for powers of two come out alike on every machine."""

MAX_CROPS = 36
"""Crops of a picture, without the overview, that the released model was trained with."""

MOST_CROPS = 256
"""No model is believed to have been trained with more: a picture of that many takes 150 MB before it is encoded."""
