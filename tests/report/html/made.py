"""Comparisons to make pages of."""

import math

from lrbench.analysis import Question, Summary, summarise
from lrbench.records import History
from tests.analysis.made import finals, history, tuned

MANIFEST = {
    "command": "compare",
    "command_line": "lrbench compare --schedule cosine --out results/run",
    "experiment": {
        "recipe": {"dataset": "mnist5k", "model": "lenet", "optimizer": "sgd", "groups": []},
        "epochs": 2,
    },
    "steps_per_epoch": {"128": 10},
    "machine": {"device": "cpu", "torch": "2.15.0"},
    "data": {"digest": "ab" * 32},
}
VALUES = {"cosine": [0.97, 0.972, 0.974], "linear": [0.96, 0.97, 0.965], "step": [0.9, None, 0.91]}


def several(order: int = 1) -> Summary:
    """Two that are told apart, and one with a diverged seed; tuned over three learning rates. With
    the order -1 the last trial comes first."""
    trials = [
        *tuned("cosine", {0.05: 0.9, 0.1: 0.95, 0.2: None}),
        *tuned("linear", {0.05: 0.9, 0.1: 0.93, 0.2: 0.92}),
        *finals(VALUES),
    ]
    question = Question(tuple(VALUES), reference="linear", test_size=1000)
    return summarise(trials[::order], question)


def many(schedules: int = 20, seeds: int = 10, epochs: int = 50) -> Summary:
    """As large as a page should bear."""
    trials: list[History] = []
    for place in range(schedules):
        name = f"warmup({place + 1}%) + cosine"
        trials += tuned(name, {0.02 * 2**k: 0.9 - 0.01 * k for k in range(5)}, epochs=epochs)
        for seed in range(seeds):
            end = 0.9 + 0.003 * place + 0.0007 * (seed % 5)
            rises = [end * (1 - math.exp(-0.2 * (epoch + 1))) for epoch in range(epochs)]
            trials.append(history(name, end, seed=seed, curve=rises, epochs=epochs))
    return summarise(trials, Question(test_size=1000))


ODD: dict[str, list[History]] = {
    "nothing": [],
    "one seed": finals({"a": [0.9]}),
    "one epoch": finals({"a": [0.9]}, epochs=1),
    "200 epochs": finals({"a": [1.0, 1.0]}, epochs=200),
    "all diverged": finals({"a": [None, None]}),
    "one diverged": finals({"a": [0.9], "b": [None]}),
    "under way": [history(status=None, epochs=4, curve=[0.4])],
    "no LR": tuned("a", {0.1: None, 0.2: None}),
    "half the LRs": tuned("a", {0.1: 0.9, 0.2: None}),
    "exact tie": finals({"a": [0.9, 0.9], "b": [0.9, 0.9]}),
    "no accuracy": finals({"a": [0.9, 0.9], "b": [0.8, 0.9]}, accuracy=False),
    "two budgets": [*finals({"a": [0.9]}), *finals({"a": [0.95], "b": [0.8]}, epochs=4)],
    "20 schedules": finals({f"s{i}": [0.9 + i / 1000, 0.9] for i in range(20)}),
}
