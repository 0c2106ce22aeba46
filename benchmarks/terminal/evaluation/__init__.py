"""Fixed evaluation sets for `edge eval`, the bf16 checkpoint's answers to them, and one table of both."""
