"""Op kind to kernel call, one module per theme."""
