"""What a checkpoint says about the processing of pictures, in either of the files that transformers keeps it in."""

from pathlib import Path

from edge.media.crop_sizes import MAX_CROPS, MOST_CROPS
from export.architectures.config import ConfigReader
from export.sources.safetensors_dir import read_json

ALL_PROCESSORS, ONE_PROCESSOR = "processor_config.json", "preprocessor_config.json"


def read_dynamic_hd(checkpoint: Path) -> int:
    """Crops of a picture that the model was trained with; those of the released model when no file says it.

    As in transformers the image processor's section of processor_config.json comes before preprocessor_config.json.
    Raises CheckpointError for a file that is damaged or a number out of range.
    """
    sections = []
    if (checkpoint / ALL_PROCESSORS).exists():
        sections.append(ConfigReader(read_json(checkpoint / ALL_PROCESSORS), ALL_PROCESSORS).section("image_processor"))
    if (checkpoint / ONE_PROCESSOR).exists():
        sections.append(ConfigReader(read_json(checkpoint / ONE_PROCESSOR), ONE_PROCESSOR))
    told = next((section for section in sections if section.values), ConfigReader({}))
    return told.integer("dynamic_hd", MAX_CROPS, high=MOST_CROPS)
