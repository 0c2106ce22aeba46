"""The `edge` command. Each verb is a thin layer over an importable function; nothing heavy is imported at the top."""
