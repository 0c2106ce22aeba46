"""Real text that every Python installation carries: language reference and library code."""

import inspect
import json.decoder
import statistics
from pydoc_data import topics

QUESTIONS = (
    "What is the capital of France?",
    "Name three primary colours.",
    "Why is the sky blue?",
    "How many days are in a week?",
    "Write a sentence about the sea.",
    "What does a thermometer measure?",
    "Explain what a computer does.",
    "Who wrote Romeo and Juliet?",
    "What is the boiling point of water in Celsius?",
    "List four animals that live on a farm.",
    "What is the opposite of hot?",
    "Translate 'good morning' into Spanish.",
    "How do plants make their food?",
    "What is 12 plus 30?",
    "Give me a tip for better sleep.",
    "What is the largest planet in the solar system?",
    "Describe a bicycle in one sentence.",
    "Why do we wear helmets?",
    "What comes after Tuesday?",
    "Tell me a fact about the moon.",
)


def evaluation_text() -> str:
    """About 36,000 characters, two thirds reference prose and a third library code."""
    prose = "\n\n".join(topics.topics[name] for name in ("types", "compound"))
    return "\n\n".join([prose[:24000], inspect.getsource(json.decoder), inspect.getsource(statistics)])[:36000]
