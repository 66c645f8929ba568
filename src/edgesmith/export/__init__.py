"""Models out, in the formats of other runtimes, each checked there before it is handed over."""
