"""What a fit may try, and the settings it tries first."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
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
    """What is tried before anything is learnt: as it is, then pruned in the ways that most often win."""
    as_it_is = Settings("float32", "none", 1.0, 0, False, "minmax", equalize=False, correct_bias=True)
    int8 = replace(as_it_is, precision="int8", calibration="mse")
    pruned = replace(int8, criterion="taylor", epochs=epochs, distill=True)
    return [as_it_is, int8, pruned, replace(pruned, criterion="l1_norm")]


def suggest(trial: optuna.Trial, epochs: int) -> Settings:
    """The next candidate that the search asks for."""

    def choose(name: str, choices: Sequence[Any], wanted: bool = True, otherwise: Any = None) -> Any:
        return trial.suggest_categorical(name, choices) if wanted else otherwise

    criterion = choose("criterion", ("none", *CRITERIA))
    precision = choose("precision", ("int8", "float32"))
    tuned, int8 = criterion != "none", precision == "int8"
    return Settings(
        precision=precision,
        criterion=criterion,
        fill=choose("fill", (1.0, 0.85, 0.7, 0.5), tuned, 1.0),
        epochs=choose("epochs", (epochs, 2 * epochs), tuned, 0),
        distill=choose("distill", (True, False), tuned, False),
        calibration=choose("calibration", CALIBRATIONS, int8, "minmax"),
        equalize=choose("equalize", (False, True), int8, False),
        correct_bias=choose("correct_bias", (True, False), int8, True),
    )


def parameters(settings: Settings) -> dict[str, Any]:
    """The search's parameters that give `settings`; inverse of `suggest`."""
    names = {"criterion", "precision"}
    if settings.criterion != "none":
        names |= {"fill", "epochs", "distill"}
    if settings.precision == "int8":
        names |= {"calibration", "equalize", "correct_bias"}
    return {name: value for name, value in settings.to_json().items() if name in names}
