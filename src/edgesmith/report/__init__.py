"""Reports from results: one offline HTML file, and a table for the terminal."""

from edgesmith.report.page import build, write
from edgesmith.report.schema import load, validate
from edgesmith.report.summary import summary

__all__ = ["build", "load", "summary", "validate", "write"]
