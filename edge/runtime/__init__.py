"""The decoder loop: sessions, KV cache, sampling. Knows token ids and logits, not text formats or files of a user."""
