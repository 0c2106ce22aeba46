"""weights.bin: which bytes lie where, and how they get there even when the process is killed on the way."""
