"""The composition root: the only place that picks implementations and hands them to each other."""
