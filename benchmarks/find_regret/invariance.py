"""By how much the answer moves when only the sweep is made in another way.

`python invariance.py [SETS [NETWORK:OPTIMIZER ...]]`: range tests of 3 seeds, each repeated on the
same seeds with four times the points, over a range wider by two decades on each side, and with
half and twice the smoothing window. Prints the differences in decades, `lr_sweep` and `lr`.
"""

import math
import sys
from typing import Any

import torch
from measure import find, say, setup_of

CHANGES: dict[str, dict[str, Any]] = {
    "400 points": {"points": 400},
    "wider range": {"start_lr": 1e-8, "end_lr": 1e3},
    "half the window": {"window": 0.5},
    "twice the window": {"window": 2.0},
}


def decades(new: float | None, old: float | None) -> str:
    return "none" if new is None or old is None else f"{math.log10(new / old):+.2f}"


def main() -> None:
    torch.set_num_threads(1)
    sets = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    say(f"  {'change':<18}{'lr_sweep':<{7 * sets + 2}}lr")
    for name in sys.argv[2:] or ("lenet:sgd", "lenet:adam", "conv-bn:sgd"):
        setup = setup_of(*name.split(":"))
        plain = [find(setup, number) for number in range(sets)]
        say(f"{name}: " + ", ".join(f"{r.lr_sweep:.4f} -> {r.lr:.4f}" for r in plain))
        for change, fields in CHANGES.items():
            found = [find(setup, number, **fields) for number in range(sets)]
            pairs = list(zip(found, plain, strict=True))
            swept = "".join(f"{decades(a.lr_sweep, b.lr_sweep):>7}" for a, b in pairs)
            answered = "".join(f"{decades(a.lr, b.lr):>7}" for a, b in pairs)
            say(f"  {change:<16}{swept}  {answered}")


if __name__ == "__main__":
    main()
