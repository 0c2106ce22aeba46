"""Tests that run on the emulated machine, without tests/conftest.py, which needs the export stack.

Left out is what needs devices, exports, torch or a clock, packages of extras, or /proc as Linux
itself tells it, and what starts the command line hundreds of times: the emulator is ten to twenty times slower.
"""

FILES = (
    "tests/bundle/test_files.py",
    "tests/prompt/test_answer_stream.py",
    "tests/prompt/test_other_formats.py",
    "tests/prompt/test_schema_constraint.py",
    "tests/prompt/test_stop_strings.py",
    "tests/prompt/test_text_stream.py",
    "tests/prompt/test_tokenizer.py",
    "tests/prompt/test_tool_calls.py",
    "tests/prompt/test_tool_constraint.py",
    "tests/prompt/test_tools.py",
    "tests/media/test_audio_file.py",
    "tests/media/test_bad_audio.py",
    "tests/media/test_waveform.py",
    "tests/runtime/test_sampling.py",
    "tests/devices/test_frame.py",
    "tests/devices/test_frames.py",
    "tests/devices/test_level.py",
    "tests/devices/test_ring.py",
    "tests/evaluation/test_intervals.py",
    "tests/evaluation/test_labels.py",
    "tests/live/test_sentences.py",
    "tests/live/test_utterances.py",
    "tests/live/test_actions.py",
    "tests/test_budget.py",
)
