"""Models of scikit-learn, XGBoost and LightGBM to Graphs, float and fixed point."""

from edgesmith.lower.classical.forest import Forest
from edgesmith.lower.classical.model import Classical, Cut, Precision, check_classes, is_estimator, lower_classical
from edgesmith.lower.classical.together import together
from edgesmith.lower.classical.xgboost_json import parse as parse_xgboost
from edgesmith.lower.classical.xgboost_json import read as read_xgboost

__all__ = [
    "Classical",
    "Cut",
    "Forest",
    "Precision",
    "check_classes",
    "is_estimator",
    "lower_classical",
    "parse_xgboost",
    "read_xgboost",
    "together",
]
