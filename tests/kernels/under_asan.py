"""Run every kernel of a folder, built with AddressSanitizer, on random cases: a program, run by test_kernels.py."""

import sys

import numpy as np

from kernels.calling import call
from kernels.cases import KINDS

CASES = 8


def main(folder: str) -> None:
    for kind, maker in KINDS.items():
        rng = np.random.default_rng(20261121)
        for _ in range(CASES):
            call(*maker(rng), folder, sanitize="address")
        print(kind)


if __name__ == "__main__":
    main(sys.argv[1])
