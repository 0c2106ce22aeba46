"""The first minute: what the embedded model hears, sees and calls. See __main__ (make demo) and media."""
