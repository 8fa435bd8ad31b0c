"""Measures the targets of the project as ratios within one run; absolute times depend on the machine and its load."""
