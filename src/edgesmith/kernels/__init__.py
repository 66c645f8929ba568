"""C kernels for every op and the tables that bind an op to its kernel."""
