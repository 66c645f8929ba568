"""Nets made to be split: what crosses is small because they were trained for it."""

from edgesmith.collaborate.split.entropic_student import entropic_student

METHODS = (entropic_student,)
