"""The three generations of processes: front, supervisor, program; how they start, stop, signal and end."""
