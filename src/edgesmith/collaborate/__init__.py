"""Device and server together: links, cuts, codes, servers and schedulers."""
