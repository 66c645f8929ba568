"""Where to cut: every cut of a graph, what each costs, and the best under limits."""
