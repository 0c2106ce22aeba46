"""A foreign folder's tokenizer, chat template and the tokens that end an answer."""

from pathlib import Path
from typing import Any

from edge.bundle.files import read_regular
from edge.bundle.manifest import ChatInfo, TokenInfo
from edge.foreign.described import Described, cannot, read_object
from edge.prompt.detect import TURN_ENDS, detect_chat
from edge.prompt.formats.jinja import MAX_TEMPLATE_BYTES, TEMPLATE_FILE
from edge.prompt.tokenizer import MAX_TOKENIZER_BYTES
from edge.prompt.tokenizer_json import split_model

TOKENIZER = "tokenizer.json"


def read_tokens(folder: Path, told: Described, vocab_size: int) -> tuple[TokenInfo, ChatInfo, str]:
    """(token ids, chat format, chat template). Raises BundleError when text cannot become a conversation."""
    if not (folder / TOKENIZER).exists():
        cannot(folder, f"has no {TOKENIZER}", "save it with  AutoTokenizer.from_pretrained(…).save_pretrained(…)")
    added = _added_tokens(folder)
    config = read_object(folder, "tokenizer_config.json")
    template = _template(folder, config)
    chat = detect_chat(added, template or None)
    if chat.format == "plain":
        cannot(folder, "has no chat template, so nobody knows how to ask it", "use an instruction-tuned model")
    eos, bos = (added.get(_content(config.get(f"{name}_token"))) for name in ("eos", "bos"))
    ends = [added[token] for token in TURN_ENDS if token in added]
    named = [eos] if eos is not None else []
    stop = [one for one in dict.fromkeys([*named, *told.stop, *ends]) if one < vocab_size]
    if not stop:
        cannot(folder, "names no token that ends an answer (eos_token_id)")
    return TokenInfo(stop, told.bos if bos is None else bos), chat, template


def _added_tokens(folder: Path) -> dict[str, int]:
    try:
        head, _ = split_model(read_regular(folder, TOKENIZER, MAX_TOKENIZER_BYTES))
        return {str(token["content"]): int(token["id"]) for token in head.get("added_tokens", [])}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        cannot(folder, f"has a malformed {TOKENIZER}: {ascii(str(error))[:80]}")


def _template(folder: Path, config: dict[str, Any]) -> str:
    if (folder / TEMPLATE_FILE).exists():
        data = read_regular(folder, TEMPLATE_FILE, MAX_TEMPLATE_BYTES)
        try:
            return data.decode()
        except UnicodeDecodeError:
            cannot(folder, f"has a {TEMPLATE_FILE} that is not UTF-8")
    given = config.get("chat_template") or read_object(folder, "chat_template.json").get("chat_template")
    if isinstance(given, list):  # several by name, as older tokenizers have them
        by_name = {one.get("name"): one.get("template") for one in given if isinstance(one, dict)}
        given = by_name.get("default")
    return given if isinstance(given, str) else ""


def _content(token: object) -> str:
    """tokenizer_config.json has special tokens as texts, or as objects."""
    content = token.get("content") if isinstance(token, dict) else token
    return content if isinstance(content, str) else ""
