"""Binary nets: weights and activations of one bit."""
