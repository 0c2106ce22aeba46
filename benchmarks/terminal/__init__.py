"""The factory terminal: the task of the embedded default model, its data, its training and its evaluation sets."""
