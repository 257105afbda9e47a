"""PESTO's test resources: read, run through an algorithm wherever it runs, compared, reported, rewritten."""
