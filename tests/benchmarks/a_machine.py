"""Machine facts for reports that no real run made."""

MACHINE = {
    "cpu": "a CPU",
    "cpu_features": ["avx2"],
    "cpus": 2,
    "memory_bytes": 8e9,
    "governor": "performance",
    "system": "Linux",
}
