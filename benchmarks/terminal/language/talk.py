"""Small talk, what is out of scope, and the sentences that say no."""

import numpy as np

NO_SPEECH = "I can't hear any speech."
NO_DISPLAY = "I can't see a display."
NO_LABEL = "I can't see a label."
NO_LAMP = "I can't see a lamp."
NO_UNIT = "I can't see a unit."
NO_TOOL = "I can't do that with these tools."
NO_TOOLS = "I can't do that without tools."
OUT_OF_SCOPE = "I can't help with that."

ABILITIES = "I can read displays, transcribe speech and call the functions of this terminal."
SELF = "I am a tiny stand-in for Phi-4-multimodal, trained for a factory terminal."

TALK: dict[str, tuple[str, ...]] = {
    ABILITIES: (
        "what can you do", "help", "how can you help me", "what are you able to do", "what do you do",
        "tell me what you can do",
    ),
    SELF: ("who are you", "what are you", "what is your name", "are you phi four", "tell me about yourself"),
    "Hello. How can I help?": ("hello", "hi", "good morning", "good evening", "hello terminal"),
    "You are welcome.": ("thank you", "thanks", "thank you very much", "many thanks"),
    "I am ready.": ("are you there", "are you ready", "are you listening", "can you hear me"),
    "Goodbye.": ("goodbye", "bye", "see you tomorrow", "good night"),
}  # fmt: skip

ELSEWHERE = (
    "tell me a joke", "what is the weather tomorrow", "who won the match last night", "write a poem about the sea",
    "what is the capital of france", "how old is the president", "translate this into german", "play some music",
    "order a pizza", "what time is it in london", "sing a song", "who wrote this book", "explain the theory of gravity",
    "recommend a good film", "what is the meaning of life", "book a flight to rome", "how do i cook rice",
    "what is the price of gold", "call my mother", "read me the news", "draw a picture of a cat", "solve this riddle",
    "tell me a story", "send an email to my boss", "what is the best phone", "how far is the moon",
)  # fmt: skip

TRANSCRIBE = (
    "Transcribe the audio clip into text.", "Transcribe the audio to text.", "Transcribe this.", "Transcribe.",
    "What was said?", "Write down what you hear.",
)  # fmt: skip
DO_IT = ("", "Do what the clip says.", "Carry out the spoken command.")


def draw_talk(rng: np.random.Generator) -> tuple[str, str]:
    """(what is said, in words; the answer)."""
    answer = str(rng.choice(list(TALK)))
    return str(rng.choice(TALK[answer])), answer


def draw_elsewhere(rng: np.random.Generator) -> str:
    return str(rng.choice(ELSEWHERE))


def typed(words: str, rng: np.random.Generator) -> str:
    """Words as somebody types them: with or without a capital and a mark at the end."""
    text = words[0].upper() + words[1:] if rng.random() < 0.7 else words
    if rng.random() < 0.7:
        text += "?" if words.split()[0] in ("what", "who", "how", "are", "is", "can", "which") else "."
    return text
