"""What a fit may try, and the settings it tries first."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import optuna

Precision = Literal["int8", "float32"]
Criterion = Literal["none", "l1_norm", "slimming", "taylor"]
Calibration = Literal["minmax", "percentile", "mse", "entropy"]
Bits = Literal["8", "4", "2", "mixed", "own"]
Quantizer = Literal[
    "ptq", "smoothquant", "awq", "gptq", "adaround", "lsq", "gaqat", "hqq", "qfx", "bitnet", "nf4", "fp8", "i_vit"
]

CRITERIA: tuple[Criterion, ...] = ("l1_norm", "slimming", "taylor")
MIXERS: tuple[Quantizer, ...] = ("ptq", "smoothquant", "awq", "gptq", "adaround", "lsq", "gaqat")
UNIFORM: tuple[Quantizer, ...] = (*MIXERS, "hqq", "qfx")  # the last two make other programs than the rest
OWN: tuple[Quantizer, ...] = ("bitnet", "nf4", "fp8", "i_vit")
TRAINED = ("lsq", "gaqat", "qfx", "bitnet")
CALIBRATIONS: tuple[Calibration, ...] = ("minmax", "percentile", "mse", "entropy")


@dataclass(frozen=True)
class Settings:
    """One candidate.

    Attributes:
        criterion: which channels go; "none" keeps the net's shape.
        fill: share of the limits that the pruned net may use; below 1 is smaller and faster than asked.
        epochs: of fine-tuning after pruning; 0 for none.
        distill: learn from the unpruned net as well.
        bits: of the weights in an integer net: all 8; 4 or 2 between a first and a last layer of 8; or 8, 4 or 2 each,
            the least harm that the limits allow; or the form that the quantizer has.
        quantizer: the method that gives weights of fewer bits their integers.
        learned: epochs of training by a quantizer that trains; 0 for the others.
    """

    precision: Precision
    criterion: Criterion
    fill: float
    epochs: int
    distill: bool
    calibration: Calibration
    equalize: bool
    correct_bias: bool
    bits: Bits = "8"
    quantizer: Quantizer = "ptq"
    learned: int = 0

    def to_json(self) -> dict[str, Any]:
        """The fields; those of fewer bits only where they are used, so that earlier fits' candidates stay known."""
        usual = {"bits": "8", "quantizer": "ptq", "learned": 0}
        return {name: value for name, value in asdict(self).items() if name not in usual or value != usual[name]}

    def draft(self) -> Bits:
        """The bits that a form of the quantizer's own is predicted with, before there is a program."""
        return self.bits if self.bits != "own" else "2" if self.quantizer == "bitnet" else "8"

    def foreseen(self) -> bool:
        """Whether bits alone say what the program will be; else it is predicted again once it is there."""
        return self.bits != "own" and self.quantizer in MIXERS

    def fills(self) -> bool:
        """Whether `fill` decides what comes out."""
        return self.criterion != "none" or self.bits == "mixed"

    def words(self) -> str:
        """In a few words, for progress and tables."""
        pruned = "" if self.criterion == "none" else f", {self.criterion} to {self.fill:.0%} of the limits"
        tuned = f", {self.epochs} epochs{' distilled' if self.distill else ''}" if self.epochs else ""
        if self.precision != "int8":
            return f"{self.precision}{pruned}{tuned}"
        room = f" to {self.fill:.0%} of the limits" if self.bits == "mixed" and self.criterion == "none" else ""
        stored = {"8": "int8", "4": "int4", "2": "int2", "mixed": f"mixed bits{room}", "own": "own form"}[self.bits]
        method = "" if self.quantizer == "ptq" else f" by {self.quantizer}"
        trained = f" in {self.learned} epochs" if self.learned else ""
        return f"{stored} ({self.calibration}){pruned}{tuned}{method}{trained}"


LEARNED = 4  # epochs of pruning's fine-tuning to one of learned steps, which start from a net that works (our choice)


def first(epochs: int) -> list[Settings]:
    """What is tried before anything is learnt: as it is, then pruned in the ways that most often win."""
    as_it_is = Settings("float32", "none", 1.0, 0, False, "minmax", equalize=False, correct_bias=True)
    int8 = replace(as_it_is, precision="int8", calibration="mse")
    pruned = replace(int8, criterion="taylor", epochs=epochs, distill=True)
    mixed = replace(int8, bits="mixed")
    rounded = replace(mixed, quantizer="gptq")
    learned = replace(mixed, quantizer="lsq", learned=max(1, epochs // LEARNED))
    both = replace(pruned, bits="4", quantizer="gptq")
    return [as_it_is, int8, pruned, rounded, learned, both, replace(pruned, criterion="l1_norm")]


def suggest(trial: optuna.Trial, epochs: int) -> Settings:
    """The next candidate that the search asks for."""

    def choose(name: str, choices: Sequence[Any], wanted: bool = True, otherwise: Any = None) -> Any:
        return trial.suggest_categorical(name, choices) if wanted else otherwise

    criterion = choose("criterion", ("none", *CRITERIA))
    precision = choose("precision", ("int8", "float32"))
    tuned, int8 = criterion != "none", precision == "int8"
    bits = choose("bits", ("8", "4", "2", "mixed", "own"), int8, "8")
    quantizers = {"mixed": MIXERS, "4": UNIFORM, "2": UNIFORM, "own": OWN}.get(bits, ())
    quantizer = choose(f"quantizer_{bits}", quantizers, bool(quantizers), "ptq")
    return Settings(
        precision=precision,
        criterion=criterion,
        fill=choose("fill", (1.0, 0.85, 0.7, 0.5), tuned or bits == "mixed", 1.0),
        epochs=choose("epochs", (epochs, 2 * epochs), tuned, 0),
        distill=choose("distill", (True, False), tuned, False),
        calibration=choose("calibration", CALIBRATIONS, int8, "minmax"),
        equalize=choose("equalize", (False, True), int8, False),
        correct_bias=choose("correct_bias", (True, False), int8, True),
        bits=bits,
        quantizer=quantizer,
        learned=choose("learned", (max(1, epochs // LEARNED), max(2, epochs // 2)), quantizer in TRAINED, 0),
    )


def parameters(settings: Settings) -> dict[str, Any]:
    """The search's parameters that give `settings`; inverse of `suggest`."""
    names = {"criterion", "precision"}
    if settings.criterion != "none":
        names |= {"epochs", "distill"}
    if settings.fills():
        names |= {"fill"}
    if settings.precision == "int8":
        names |= {"calibration", "equalize", "correct_bias", "bits"}
    if settings.bits != "8":
        names |= {f"quantizer_{settings.bits}"}
    if settings.quantizer in TRAINED:
        names |= {"learned"}
    values = {**asdict(settings), f"quantizer_{settings.bits}": settings.quantizer}
    return {name: value for name, value in values.items() if name in names}
