"""Which matrix gets which format, by measurement."""
