"""What a fit may try, and the settings it tries first."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import optuna

Precision = Literal["int8", "float32"]
Criterion = Literal["none", "l1_norm", "slimming", "taylor"]
Calibration = Literal["minmax", "percentile", "mse", "entropy"]

CRITERIA: tuple[Criterion, ...] = ("l1_norm", "slimming", "taylor")
CALIBRATIONS: tuple[Calibration, ...] = ("minmax", "percentile", "mse", "entropy")


@dataclass(frozen=True)
class Settings:
    """One candidate.

    Attributes:
        criterion: which channels go; "none" keeps the net's shape.
        fill: share of the limits that the pruned net may use; below 1 is smaller and faster than asked.
        epochs: of fine-tuning after pruning; 0 for none.
        distill: learn from the unpruned net as well.
    """

    precision: Precision
    criterion: Criterion
    fill: float
    epochs: int
    distill: bool
    calibration: Calibration
    equalize: bool
    correct_bias: bool

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return asdict(self)

    def words(self) -> str:
        """In a few words, for progress and tables."""
        pruned = "" if self.criterion == "none" else f", {self.criterion} to {self.fill:.0%} of the limits"
        tuned = f", {self.epochs} epochs{' distilled' if self.distill else ''}" if self.epochs else ""
        quantized = f" ({self.calibration})" if self.precision == "int8" else ""
        return f"{self.precision}{quantized}{pruned}{tuned}"


def first(epochs: int) -> list[Settings]:
    """What is tried before anything is learnt: as it is, then pruned in the way that most often wins."""
    plain = {"fill": 1.0, "equalize": False, "correct_bias": True}
    return [
        Settings("float32", "none", epochs=0, distill=False, calibration="minmax", **plain),
        Settings("int8", "none", epochs=0, distill=False, calibration="mse", **plain),
        Settings("int8", "taylor", epochs=epochs, distill=True, calibration="mse", **plain),
        Settings("int8", "l1_norm", epochs=epochs, distill=True, calibration="mse", **plain),
    ]


def suggest(trial: optuna.Trial, epochs: int) -> Settings:
    """The next candidate that the search asks for."""
    criterion = trial.suggest_categorical("criterion", ("none", *CRITERIA))
    tuned = criterion != "none"
    precision = trial.suggest_categorical("precision", ("int8", "float32"))
    int8 = precision == "int8"
    return Settings(
        precision=precision,
        criterion=criterion,
        fill=trial.suggest_categorical("fill", (1.0, 0.85, 0.7, 0.5)) if tuned else 1.0,
        epochs=trial.suggest_categorical("epochs", (epochs, 2 * epochs)) if tuned else 0,
        distill=trial.suggest_categorical("distill", (True, False)) if tuned else False,
        calibration=trial.suggest_categorical("calibration", CALIBRATIONS) if int8 else "minmax",
        equalize=trial.suggest_categorical("equalize", (False, True)) if int8 else False,
        correct_bias=trial.suggest_categorical("correct_bias", (True, False)) if int8 else True,
    )


def parameters(settings: Settings) -> dict[str, Any]:
    """The search's parameters that give `settings`; inverse of `suggest`."""
    names = {"criterion", "precision"}
    if settings.criterion != "none":
        names |= {"fill", "epochs", "distill"}
    if settings.precision == "int8":
        names |= {"calibration", "equalize", "correct_bias"}
    return {name: value for name, value in settings.to_json().items() if name in names}
