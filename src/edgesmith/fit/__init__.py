"""The main job: give back the best model that fits a target and a budget, compiled and proven."""

from edgesmith.fit.fit import Fit, fit

__all__ = ["Fit", "fit"]
