"""Where every value lies: views, buffers, the order of the ops, the plan of the arena."""
