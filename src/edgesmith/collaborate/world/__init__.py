"""Device, link and server in virtual time: a run of hours takes seconds, and the same seed gives the same run."""
