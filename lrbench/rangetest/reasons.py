"""Why an answer is weak or missing: sentences, each with the option that may help."""

from typing import Self


class Reason(str):
    """Why a sweep gives no answer, as a sentence. Multiplying the value of `option` by `factor`
    may help; without an option, no remedy is known."""

    option: str
    factor: float

    def __new__(cls, text: str, option: str = "", factor: float = 1.0) -> Self:
        made = super().__new__(cls, text)
        made.option, made.factor = option, factor
        return made


FLAT = Reason("flat: the loss does not change; raise --end-lr", "end_lr", 100.0)
UNREACHED = Reason("flat: no gradient reaches the parameters; look at --loss and what it trains")
NOISE = Reason("noise: the loss falls no more than its noise; raise --seeds or --batch-size")
RISING = Reason("rising: the loss only rises; lower --start-lr", "start_lr", 0.01)
COARSE = Reason(
    "rising: the loss falls only in the first steps, if at all; lower --end-lr, or use --mode exp",
    "end_lr",
    0.1,
)
AT_FIRST = Reason("diverged at once: the first loss is not finite; look at the data and --loss")

# Other reasons why an answer is weak or missing.
POOLED = "noisy: only the mean of the seeds' curves falls clearly; raise --seeds or --batch-size"
HIGHEST = "edge: the highest LR that was tried is the best; raise --end-lr"
LOWEST = "edge: the lowest LR that was tried is the best"
UNSTABLE = "unstable: its highest LR is above the largest stable one; a longer run may diverge"
UNVERIFIED = "unstable: its highest LR is above the largest stable one; use that, or pass --verify"
UNTRAINED = "untrained: no short training ends below its start; look at --loss and what it trains"
UNCLEAR = (
    "unclear: short trainings end below their start by no more than the seeds differ; give more "
    "validation data"
)
ORDERED = (
    "ordered: the loss moves with the order of the batches, which was subtracted; shuffle them"
)
ONE_CURVE = "one curve: every seed trains on the same batches; shuffle them, or pass make_model"
DECIDED = (
    "noisy: the sweep is lost in noise, short trainings decided; raise --seeds or --batch-size"
)
