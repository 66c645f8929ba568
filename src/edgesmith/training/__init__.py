"""The torch side of a task: batches, losses, evaluation, and one resumable training loop."""
