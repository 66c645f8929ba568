"""A model's way, step by step; each step joins families: programs, patching, build, realize, profile, verify."""
