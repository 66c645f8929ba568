"""Policies that learn where tasks run, by trying: on the device or on one of several servers."""
