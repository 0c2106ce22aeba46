"""The part of a bundle that is about text: tokenizer, chat format, token ids that end an answer."""

from dataclasses import dataclass

from edge.bundle.manifest import ChatInfo, TokenInfo
from edge.errors import CheckpointError
from edge.prompt.detect import TURN_ENDS, detect_chat
from export.architectures.spec import DecoderSpec
from export.sources.checkpoint import Checkpoint

TOKENIZER, TEMPLATE = "tokenizer.json", "chat_template.jinja"


@dataclass(frozen=True, slots=True)
class Texts:
    """`files` go into the bundle under their names."""

    files: dict[str, bytes]
    chat: ChatInfo
    tokens: TokenInfo


def read_texts(checkpoint: Checkpoint, spec: DecoderSpec) -> Texts:
    """Raises CheckpointError when the tokenizer is missing, damaged or another model's."""
    from tokenizers import Tokenizer

    data = checkpoint.tokenizer_json()
    try:
        known = Tokenizer.from_str(data.decode("utf-8")).get_vocab(with_added_tokens=True)
    except Exception as error:  # tokenizers raises bare Exception for bad files
        raise CheckpointError(f"tokenizer.json cannot be read: {error}", "download the checkpoint again") from None
    highest = max(known.values(), default=0)
    if highest >= spec.vocab_size:
        raise CheckpointError(
            f"the tokenizer knows token id {highest}, the model has only {spec.vocab_size} rows",
            "tokenizer.json and the weights belong to different models",
        )
    template = checkpoint.chat_template()
    chat = detect_chat(known, template)
    files = {TOKENIZER: data}
    if chat.format == "jinja" and template:
        files[TEMPLATE] = template.encode("utf-8")
    ends = [known[token] for token in TURN_ENDS if token in known]
    unused = highest + 1 if highest + 1 < spec.vocab_size else None
    tokens = TokenInfo(list(dict.fromkeys(spec.stop_tokens + ends)), spec.bos_token, unused)
    return Texts(files, chat, tokens)
