"""What the tests of torch, timm, transformers and optax say of schedules, in our own words.

A row is one of their test functions: its schedule as a spec, and the LRs that it asserts, or that
torch's own class gives when it is stepped (of timm and transformers also LRs that timm 1.0.31 and
transformers 5.24.0 gave when they were run).
"""

# ruff: noqa: E501  (a row a line)
import io
import math
import warnings
from typing import Any

import pytest
import torch

from lrbench.errors import UsageError
from lrbench.schedules import parse, to_torch
from tests.schedules.makers import groups, sgd
from tests.schedules.test_torch_names import LR, torch_trace, updated


def half_cosine(start: float, end: float, x: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * x)) / 2


TORCH = {  # the names of their tests, and the schedule, which torch's own class gives
    "step_lr, get_last_lr_step_lr, closed_form_step_lr": "StepLR(gamma=0.1, step_size=3)",
    "multi_step_lr, get_last_lr_multi_step_lr, multi_step_lr_with_epoch, closed_form_multi_step_lr": "MultiStepLR(gamma=0.1, milestones=[2, 5, 9])",
    "constantlr, get_last_lr_constantlr, constantlr_with_epoch": "ConstantLR(factor=1.0/2, total_iters=5)",
    "linearlr, linearlr_with_epoch": "LinearLR(start_factor=1.0/2, total_iters=4)",
    "get_last_lr_linearlr": "LinearLR(start_factor=1/4, end_factor=3/5, total_iters=4)",
    "exp_lr, closed_form_exp_lr": "ExponentialLR(gamma=0.9)",
    "poly_lr": "PolynomialLR(power=0.9, total_iters=5)",
    "cos_anneal_lr": "CosineAnnealingLR(T_max=10, eta_min=1e-10)",
    "closed_form_linearlr": "LinearLR(start_factor=1/3, end_factor=0.7, total_iters=4)",
    "closed_form_constantlr": "ConstantLR(factor=1/3, total_iters=4)",
    "closed_form_poly_lr": "PolynomialLR(power=0.9)",
    "closed_form_cos_anneal_lr": "CosineAnnealingLR(T_max=5, eta_min=1e-10)",
    "sequentiallr1": "SequentialLR([ExponentialLR(gamma=0.8), StepLR(gamma=0.1, step_size=4)], milestones=[3])",
    "sequentiallr2": "SequentialLR([ConstantLR(factor=0.1, total_iters=3), ExponentialLR(gamma=0.9)], milestones=[3])",
    "sequentiallr3, get_last_lr_sequentiallr": "SequentialLR([ConstantLR(factor=0.1, total_iters=3), ExponentialLR(gamma=0.8), StepLR(gamma=0.1, step_size=2)], milestones=[3, 6])",
    "sequentiallr4": "SequentialLR([ConstantLR(factor=1), ConstantLR(factor=0.1)], milestones=[10])",
    "sequentiallr5": "SequentialLR([ChainedScheduler([LinearLR(start_factor=0.1, total_iters=5), ConstantLR(factor=0.1, total_iters=5)]), ConstantLR(factor=0.5, total_iters=5)], milestones=[5])",
    "sequentiallr_does_not_alias_lr_and_initial_lr": "SequentialLR([LinearLR(0.1, 0.8, total_iters=4), LinearLR(0.8, 0.1, total_iters=4)], milestones=[4])",
    "chained_lr1": "ChainedScheduler([StepLR(gamma=0.1, step_size=3)])",
    "chained_lr2": "ChainedScheduler([LinearLR(start_factor=0.4, total_iters=3)])",
    "chained_lr3, chained_lr2_get_last_lr_before_step": "ChainedScheduler([LinearLR(start_factor=0.4, total_iters=3), MultiStepLR(milestones=[4, 8, 10], gamma=0.1)])",
    "chained_lr4": "ChainedScheduler([ExponentialLR(gamma=0.9), ConstantLR(factor=0.2, total_iters=4), StepLR(gamma=0.1, step_size=3)])",
    "chained_lr5": "ChainedScheduler([PolynomialLR(power=0.9, total_iters=5), ConstantLR(factor=0.1)])",
    "compound_step_and_multistep_lr": "ChainedScheduler([StepLR(gamma=0.1, step_size=3), MultiStepLR(gamma=0.1, milestones=[2, 5, 9])])",
    "compound_step_and_exp_lr": "ChainedScheduler([StepLR(gamma=0.1, step_size=3), ExponentialLR(gamma=0.9)])",
    "compound_exp_and_multistep_lr": "ChainedScheduler([MultiStepLR(gamma=0.1, milestones=[2, 5, 9]), ExponentialLR(gamma=0.9)])",
    "compound_exp_and_linearlr": "ChainedScheduler([LinearLR(start_factor=0.4, end_factor=0.9, total_iters=4), ExponentialLR(gamma=0.9)])",
    "compound_step_and_constantlr": "ChainedScheduler([StepLR(gamma=0.1, step_size=3), ConstantLR(factor=0.4, total_iters=4)])",
    "compound_linearlr_and_multistep_lr": "ChainedScheduler([MultiStepLR(gamma=0.1, milestones=[2, 5, 9]), LinearLR(start_factor=0.4, total_iters=4)])",
    "compound_cosanneal_and_step_lr": "ChainedScheduler([CosineAnnealingLR(T_max=10, eta_min=1e-10), StepLR(gamma=0.1, step_size=3)])",
    "compound_cosanneal_and_multistep_lr": "ChainedScheduler([CosineAnnealingLR(T_max=10, eta_min=1e-10), MultiStepLR(gamma=0.1, milestones=[2, 5, 9])])",
    "compound_cosanneal_and_linearlr": "ChainedScheduler([LinearLR(start_factor=0.4, total_iters=4), CosineAnnealingLR(T_max=10, eta_min=1e-10)])",
    "compound_cosanneal_and_exp_lr": "ChainedScheduler([CosineAnnealingLR(T_max=10, eta_min=1e-10), ExponentialLR(gamma=0.1)])",
    "lambda_lr": 'LambdaLR(lr_lambda="0.9**epoch")',
    "multiplicative_lr": 'MultiplicativeLR(lr_lambda="0.9")',
    "CosineAnnealingWarmRestarts_lr1[1]": "CosineAnnealingWarmRestarts(T_0=10, T_mult=1, eta_min=1e-10)",
    "CosineAnnealingWarmRestarts_lr1[2]": "CosineAnnealingWarmRestarts(T_0=10, T_mult=2, eta_min=1e-10)",
    "CosineAnnealingWarmRestarts_lr1[4]": "CosineAnnealingWarmRestarts(T_0=10, T_mult=4, eta_min=1e-10)",
    "cosine_then_cyclic": "SequentialLR([CosineAnnealingLR(T_max=20, eta_min=0.01), CyclicLR(base_lr=0.01, max_lr=0.03, step_size_up=1, step_size_down=3)], milestones=[21])",
    "cycle_lr_triangular_mode_one_lr, cycle_lr_triangular_mode": "CyclicLR(base_lr=1, max_lr=5, base_momentum=0.1, max_momentum=0.5, step_size_up=4)",
    "cycle_lr_triangular_mode_one_lr_no_momentum": "CyclicLR(base_lr=1, max_lr=5, step_size_up=4, cycle_momentum=False)",
    "cycle_lr_triangular2_mode_one_lr, cycle_lr_triangular2_mode": 'CyclicLR(base_lr=1, max_lr=5, base_momentum=0.1, max_momentum=0.5, step_size_up=4, mode="triangular2")',
    "cycle_lr_exp_range_mode_one_lr, cycle_lr_exp_range_mode": 'CyclicLR(base_lr=1, max_lr=5, base_momentum=0.1, max_momentum=0.5, step_size_up=4, mode="exp_range", gamma=0.9)',
    "cycle_lr_triangular_mode_step_size_up_down": "CyclicLR(base_lr=1, max_lr=5, base_momentum=0.1, max_momentum=0.5, step_size_up=4, step_size_down=6)",
    "cycle_lr_triangular2_mode_step_size_up_down": 'CyclicLR(base_lr=1, max_lr=5, base_momentum=0.1, max_momentum=0.5, step_size_up=2, step_size_down=6, mode="triangular2")',
    "cycle_lr_exp_range_mode_step_size_up_down": 'CyclicLR(base_lr=1, max_lr=5, base_momentum=0.1, max_momentum=0.5, step_size_up=2, step_size_down=6, mode="exp_range", gamma=0.9)',
    "onecycle_lr_linear_annealing, cycle_lr_with_adam": 'OneCycleLR(max_lr=25, final_div_factor=2, base_momentum=0.01, max_momentum=0.22, total_steps=10, anneal_strategy="linear")',
    "onecycle_lr_linear_annealing_three_phases": 'OneCycleLR(max_lr=25, div_factor=25, base_momentum=0.01, max_momentum=0.22, total_steps=10, anneal_strategy="linear", pct_start=0.4, final_div_factor=4, three_phase=True)',
    "onecycle_lr_cosine_annealing": "OneCycleLR(max_lr=25, final_div_factor=2, base_momentum=0.01, max_momentum=0.22, total_steps=10)",
}  # fmt: skip
PLATEAU: dict[str, tuple[str, list[float], list[float]]] = {  # metrics, and the LRs after them
    "1": ("threshold_mode='abs', threshold=0.01, patience=5, cooldown=5", [10 - i * 0.0167 for i in range(10)], [0.5] * 10),
    "2": ("patience=5, threshold_mode='abs', threshold=0.1", [10 - i * 0.0165 for i in range(22)], [0.5] * 6 + [0.05] * 7 + [0.005] * 7 + [0.0005] * 2),
    "3": ("mode='max', patience=5, cooldown=5, threshold_mode='abs'", [-0.8] * 2 + [-0.234] * 20, [0.5] * 8 + [0.05] * 11 + [0.005] * 3),
    "4": ("mode='max', patience=3, threshold_mode='rel', threshold=0.1", [1.5 * 1.025**i for i in range(20)], [0.5] * 20),
    "5": ("mode='max', threshold_mode='rel', threshold=0.1, patience=5, cooldown=5", [1.5 * 1.005**i for i in range(20)], [0.5] * 6 + [0.05] * 11 + [0.005] * 3),
    "6": ("mode='min', threshold_mode='rel', threshold=0.1", [1.5 * 0.85**i for i in range(20)], [0.5] * 20),
    "7, add_param_group_does_not_break": ("mode='min', threshold_mode='rel', threshold=0.1, patience=5, cooldown=5", [1.0] * 7 + [0.6] + [0.5] * 12, [0.5] * 6 + [0.05] * 11 + [0.005] * 3),
    "8": ("mode='max', threshold_mode='rel', min_lr=[0.4], threshold=0.1, patience=5, cooldown=5", [1.5 * 1.005**i for i in range(20)], [0.5] * 6 + [0.4] * 14),
}  # fmt: skip

PEERS: dict[str, tuple[str, float, int, dict[int, float]]] = {  # spec, base LR, steps, LRs by step
    "timm cosine_decay": ("cosine(min=0.001)", 0.1, 100, {0: 0.1, 50: 0.0505, 100: 0.001}),
    "timm cosine with overlapping warm-up": ("warmup(5ep, from=0.001) + cosine(min=1e-4, clock=run)", 0.1, 60, {0: 0.001, 1: 0.0208, 4: 0.0802, 5: 0.0982979950231, 10: 0.093307968919, 30: 0.05005, 59: 0.000168454739009}),
    "timm warmup_prefix_reaches_target_lr": ("warmup(5ep, from=0.001) + cosine", 0.1, 60, {0: 0.001, 1: 0.0208, 4: 0.0802, 5: 0.1, 10: 0.0979746486807, 30: 0.0571157419137, 59: 8.15448036932e-05}),
    "timm cosine_k_decay": ("cosine(power=1.5)", 0.1, 60, {1: 0.099998857689, 10: 0.0988620276707, 30: 0.0722007920163, 59: 0.000152848624864}),
    "timm cosine_cycles": ("sgdr(20ep, decay=0.5, min=1e-4)", 0.1, 60, {0: 0.1, 10: 0.05005, 19: 0.000714967387273, 20: 0.05, 30: 0.02505, 40: 0.025, 59: 0.000253280159591}),
    "timm cosine with longer cycles": ("sgdr(20ep, mult=2, decay=0.8)", 0.1, 60, {19: 0.000615582970243, 20: 0.08, 30: 0.0682842712475, 40: 0.04, 59: 0.000123306650675}),
    "timm poly_decay": ("polynomial(to=0.001)", 0.1, 100, {0: 0.1, 100: 0.001}),
    "timm poly_k_decay": ("polynomial(power=0.5, k=0.7)", 0.1, 60, {1: 0.0971121088464, 10: 0.084540228497, 30: 0.0620022413569, 59: 0.0108148259453}),
    "timm poly with overlapping warm-up": ("warmup(5ep, from=0) + polynomial(power=0.9, k=2, to=0.001, clock=run)", 0.1, 60, {1: 0.02, 4: 0.08, 5: 0.0993810346072, 30: 0.0774170611656, 59: 0.00560209107596}),
    "timm tanh_decay": ("tanh", 0.1, 60, {0: 0.0999999168472, 10: 0.0999976691442, 30: 0.0982013790038, 45: 0.026894142137, 59: 0.000344745130156}),
    "timm tanh with overlapping warm-up": ("warmup(5ep, from=0) + tanh(min=1e-5, clock=run)", 0.1, 60, {5: 0.0999995597939, 30: 0.0982015588659, 59: 0.000354710655643}),
    "timm step_decay": ("warmup(5ep, from=0.01) + step(20ep, gamma=0.5, clock=run)", 0.1, 60, {0: 0.01, 1: 0.028, 4: 0.082, 5: 0.1, 19: 0.1, 20: 0.05, 45: 0.025}),
    "timm multistep_decay (acts one epoch before its milestones)": ("warmup(5ep, from=0) + multistep([19ep, 39ep], gamma=0.5, clock=run)", 0.1, 60, {3: 0.06, 5: 0.1, 18: 0.1, 19: 0.05, 39: 0.025}),
    "timm wsd linear": ("wsd(warmup=5ep, decay=15ep, to=0.001)", 0.1, 60, {5: 0.1, 45: 0.1, 46: 0.0934, 50: 0.067, 59: 0.0076}),
    "timm wsd 1-sqrt": ("wsd(warmup=5ep, decay=15ep, shape=sqrt, to=0.001)", 0.1, 60, {45: 0.1, 46: 0.074438309915, 50: 0.0428423233502, 59: 0.00435691347515}),
    "timm wsd cosine": ("wsd(warmup=5ep, decay=15ep, shape=cosine, to=0.001)", 0.1, 60, {46: 0.0989183062363, 50: 0.07525, 59: 0.00208169376368}),
    "timm wsd power": ("wsd(warmup=5ep, decay=15ep, shape=power, power=3, to=0.001)", 0.1, 60, {46: 0.0999706666667, 50: 0.0963333333333, 59: 0.0195093333333}),
    "timm wsd exp": ("wsd(warmup=5ep, decay=15ep, shape=exp, ratio=0.05, to=0.001)", 0.1, 60, {46: 0.0811341147582, 50: 0.0341809598279, 59: 0.00215181445825}),
    "timm wsd rsqrt": ("wsd(warmup=5ep, decay=15ep, stable_power=0.5)", 0.1, 60, {5: 0.1, 6: 0.0912870929175, 20: 0.05, 45: 0.0333333333333, 46: 0.0307710887585, 59: 0.00194074169913}),
    "timm wsd stable power": ("wsd(warmup=5ep, decay=15ep, stable_power=0.8, shape=exp, to=0.005)", 0.1, 60, {6: 0.0864281074447, 20: 0.0329876977693, 46: 0.0150539488963, 59: 0.00516376403795}),
    "transformers constant": ("constant", 10, 10, dict.fromkeys(range(10), 10.0)),
    "transformers constant_with_warmup": ("warmup(4it, from=0) + constant", 10, 10, dict(enumerate([0, 2.5, 5, 7.5] + [10] * 6))),
    "transformers linear": ("warmup(2it, from=0) + linear", 10, 10, dict(enumerate([0, 5, 10, 8.75, 7.5, 6.25, 5, 3.75, 2.5, 1.25]))),
    "transformers cosine": ("warmup(2it, from=0) + cosine", 10, 10, dict(enumerate([0, 5] + [half_cosine(10, 0, n / 8) for n in range(8)]))),
    "transformers cosine_with_hard_restarts": ("warmup(2it, from=0) + sgdr(4it)", 10, 10, dict(enumerate([0, 5] + [half_cosine(10, 0, n % 4 / 4) for n in range(8)]))),
    "transformers polynomial_decay": ("warmup(2it, from=0) + polynomial(power=2, to=1e-7)", 10, 10, {0: 0, 1: 5, **{n: 1e-7 + (10 - 1e-7) * (1 - (n - 2) / 8) ** 2 for n in range(2, 11)}}),
    "transformers inverse_sqrt": ('warmup(5it, from=0) + expr("1/sqrt(1 + step/5)")', 0.1, 40, {1: 0.02, 5: 0.1, 9: 0.07453559925, 39: 0.035805743702}),
    "transformers cosine_with_min_lr": ("warmup(5it, from=0) + cosine(min=10%)", 0.1, 40, {1: 0.02, 5: 0.1, 9: 0.0971305691788, 20: 0.065013442028, 39: 0.0101811567702}),
    "transformers wsd 1-sqrt": ("warmup(5it, from=0) + wsd(warmup=1it, decay=10it, shape=sqrt)", 0.1, 40, {1: 0.02, 5: 0.1, 30: 0.1, 39: 0.00513167019495}),
    "transformers wsd cosine": ("warmup(5it, from=10%) + wsd(warmup=1it, decay=10it, shape=cosine, to=10%)", 0.1, 40, {0: 0.01, 1: 0.028, 5: 0.1, 39: 0.0122024567667}),
    "transformers wsd with a warm-up along a cosine": ("warmup(5it, from=0, shape=cosine) + wsd(warmup=1it, decay=10it)", 0.1, 40, {1: 0.00954915028125, 4: 0.0904508497187, 5: 0.1, 39: 0.01}),
    "optax constant": ("constant", 10, 15, dict.fromkeys(range(15), 10.0)),
    "optax polynomial linear": ("warmup(10it, from=10) + constant", 20, 15, dict(enumerate([*range(10, 20), *[20] * 5]))),
    "optax polynomial nonlinear": ("polynomial(power=2, to=10)", 25, 10, {n: 10 + 15 * (1 - min(n, 10) / 10) ** 2 for n in range(15)}),
    "optax polynomial with_decay_begin": ("constant(4it) + polynomial(power=2, to=10, duration=10it)", 30, 20, {n: 10 + 20 * (1 - min(max(n - 4, 0), 10) / 10) ** 2 for n in range(20)}),
    "optax piecewise_constant positive": ("multistep([3it, 6it], gamma=[2, 0.5])", 0.1, 10, dict(enumerate([0.1] * 3 + [0.2] * 3 + [0.1] * 4))),
    "optax exponential constant_schedule": ("exponential(gamma=1)", 1, 15, dict.fromkeys(range(15), 1.0)),
    "optax exponential": ('expr("2**(step/2)")', 1, 15, {n: 2 ** (n / 2) for n in range(15)}),
    "optax exponential staircase": ("step(2it, gamma=2)", 1, 15, {n: 2.0 ** (n // 2) for n in range(15)}),
    "optax exponential transition_begin": ('constant(5it) + expr("2**(step/2)")', 1, 20, {n: 2 ** (max(0, n - 5) / 2) for n in range(20)}),
    "optax exponential end_value": ('constant(3it) + expr("max(0.1, 0.2**(step/2))")', 1, 14, {n: max(0.1, 0.2 ** (max(0, n - 3) / 2)) for n in range(14)}),
    "optax exponential end_value staircase": ('constant(3it) + expr("min(3, 2**floor(step/2))")', 1, 14, {n: min(3, 2 ** (max(0, n - 3) // 2)) for n in range(14)}),
    "optax exponential immutable_count": ("exponential(gamma=0.5)", 32, 5, dict(enumerate([32, 16, 8, 4, 2]))),
    "optax cosine decay_count_smaller": ("cosine", 0.1, 10, {n: half_cosine(0.1, 0, n / 10) for n in range(10)}),
    "optax cosine decay_count_greater": ("cosine(duration=5it)", 0.1, 12, {n: half_cosine(0.1, 0, min(n, 5) / 5) for n in range(12)}),
    "optax cosine with_alpha": ("cosine(duration=5it, min=10%)", 0.1, 12, {n: half_cosine(0.1, 0.01, min(n, 5) / 5) for n in range(12)}),
    "optax cosine with_exponent": ('expr("(0.5*(1 + cos(pi*progress)))**2")', 0.1, 100, {0: 0.1, 10: 0.09516553580760956, 50: 0.025, 75: 0.0021446612663567066}),
    "optax cosine with_giant_int_steps": ("cosine", 1000, 10**10, {10**9: 975.528258147577}),
    "optax warmup_cosine limits": ("warmup(100it, from=0.1) + cosine(min=1e-4)", 0.5, 1000, {0: 0.1, 100: 0.5, 1000: 1e-4}),
    "optax sgdr limits": ("warmup(500it, from=0) + cosine(duration=1500it) + constant(500it, at=50%) * warmup(500it, from=0) + constant(at=50%) * cosine(duration=2500it) + constant(500it, at=25%) * warmup(500it, from=0) + constant(at=25%) * cosine", 1.6, 10_000, {500: 1.6, 2500: 0.8, 5500: 0.4}),
    "optax piecewise_interpolate linear": ("warmup(5it, from=66.66666666666667%) + linear(to=25%, duration=5it)", 300, 13, dict(enumerate([200, 220, 240, 260, 280, 300, 255, 210, 165, 120, 75, 75, 75]))),
    "optax piecewise_interpolate cos": ('cosine(min=60%, duration=3it) + expr("0.6 + 0.06*(1 - cos(pi*min(step, 2)/2))")', 400, 9, dict(enumerate([400, 360, 280, 240, 264, 288, 288, 288, 288]))),
    "optax piecewise_interpolate empty_dict and no_dict": ("constant", 13, 5, dict.fromkeys(range(5), 13.0)),
    "optax onecycle cosine": ("onecycle(peak_at=3it, div=10, final_div=100)", 1000, 6, {0: 100, 1: 550, 2: 1000, 3: 750.25, 4: 250.75, 5: 1, 6: 1}),
    "optax onecycle linear": ('warmup(3it, from=10%) + linear(to=10%, duration=4it) + expr("0.1 - 0.033*min(step, 3)")', 1000, 12, dict(enumerate([100, 400, 700, 1000, 775, 550, 325, 100, 67, 34, 1, 1]))),
    "optax join_schedules": ("constant(3it) + constant(3it, at=2) + constant", 1, 7, dict(enumerate([1, 1, 1, 2, 2, 2, 1]))),
}  # fmt: skip

GREEDY: dict[str, tuple[str, list[float], float]] = {  # metrics, and the LR after them, from 0.1
    "lr_decrease_on_plateau": ("factor=0.9, patience=3", [5] + [10] * 4, 0.09),
    "lr_increase_on_improvement": ("factor=0.9, patience=3", [8, 6.4, 5.12, 4.1], 0.1 / 0.9),
    "lr_never_below_min_lr": ("patience=1, min=0.01, factor=0.5", [1] + [10] * 50, 0.01),
    "lr_never_above_max_lr": ("patience=1, max=0.2, factor=0.5", [9 - 0.1 * i for i in range(50)], 0.2),
    "cooldown_prevents_further_reduction": ("factor=0.9, patience=2, cooldown=3", [5] + [10] * 6, 0.09),
    "warmup_prevents_further_increase": ("factor=0.9, patience=2, warmup=3", [8, 7, 6, 5, 4, 3], 0.1 / 0.9),
    "reset_at_min_lr": ("patience=1, min=0.01, factor=0.5, reset=2", [1] + [10] * 100, 0.1),
    "max_mode_lr_decrease": ("mode=max, factor=0.9, patience=2", [10, 1, 1, 1], 0.09),
    "max_mode_lr_increase": ("mode=max, factor=0.9, patience=2", [1.5, 2.25, 3.4], 0.1 / 0.9),
    "relative_threshold_mode": ("threshold_mode=rel, threshold=0.1, factor=0.9, patience=0", [10, 9.5], 0.1),
}  # fmt: skip
LOSSES = [
    0.929, 0.7, 0.665, 0.389, 0.446, 0.265, 0.423, 0.335, 0.375, 0.24, 0.274, 0.215, 0.173, 0.213,
    0.117, 0.161, 0.214, 0.167, 0.132, 0.281, 0.146, 0.102, 0.141, 0.095, 0.099, 0.097, 0.235,
    0.111, 0.117, 0.144, 0.221, 0.084, 0.057, 0.24, 0.002, 0.065, 0.125, 0.22, 0.024, -0.067,
]  # fmt: skip
DECISIONS = {  # of transformers' GreedyLR on these losses: by epoch the new LR, from 0.1
    "patience=1, factor=0.8, cooldown=2, warmup=1": {2: 0.125, 8: 0.1, 13: 0.125, 17: 0.1, 21: 0.08, 26: 0.064, 30: 0.0512, 37: 0.04096},
    "patience=1, factor=0.5, window=3, threshold=0.01, threshold_mode=rel, min=0.03, max=0.3, reset=2": {2: 0.2, 4: 0.3, 18: 0.15, 20: 0.075, 22: 0.0375, 24: 0.075, 28: 0.0375, 30: 0.03, 32: 0.1, 35: 0.05, 37: 0.03, 39: 0.1},
    "patience=3, factor=0.5, mode=max, min=0.02, max=0.5, reset=1": {5: 0.05, 9: 0.025, 13: 0.1, 24: 0.05, 28: 0.025, 32: 0.1, 38: 0.05},
}  # fmt: skip

SIXTEEN = [  # of lr_scheduler_state_dict_load, without SWALR
    "LambdaLR(lr_lambda=lambda e: e // 10)", "MultiplicativeLR(lr_lambda=lambda e: 0.95)",
    "StepLR(step_size=30)", "MultiStepLR(milestones=[30, 80])", "ConstantLR()", "LinearLR()",
    "ExponentialLR(gamma=0.9)", "PolynomialLR()", "CosineAnnealingLR(T_max=10)",
    "ChainedScheduler(schedulers=[ConstantLR(), ConstantLR()])",
    "SequentialLR(schedulers=[ConstantLR(), ConstantLR()], milestones=[2])", "ReduceLROnPlateau()",
    "CyclicLR(base_lr=0.01, max_lr=0.1)", "CosineAnnealingWarmRestarts(T_0=20)",
    "OneCycleLR(max_lr=0.01, total_steps=10, anneal_strategy='linear')",
]  # fmt: skip
REFUSED = {
    "linearlr_start_factor_limits1": "LinearLR(start_factor=0.0, total_iters=4)",
    "linearlr_start_factor_limits2": "LinearLR(start_factor=1.1, total_iters=4)",
    "cycle_lr_invalid_mode": "CyclicLR(base_lr=0, max_lr=0.1, mode='CATS')",
    "onecycle_lr_invalid_anneal_strategy": "OneCycleLR(max_lr=1e-3, total_steps=10, anneal_strategy='CATS')",
    "onecycle_lr_invalid_pct_start": "OneCycleLR(max_lr=1e-3, total_steps=10, pct_start=1.1)",
}  # fmt: skip


def rows(table: dict[str, Any], peer: str = "") -> list[Any]:
    """A parameter for each of their tests; a key may name several of one table row."""
    found = []
    for key, row in table.items():
        head = peer or key.partition(" ")[0]
        names = (key if peer else key.partition(" ")[2]).split(", ")
        found += [pytest.param(key, row, id=f"{head} {name}") for name in names]
    return found


@pytest.mark.parametrize(("name", "spec"), rows(TORCH, "torch"))
def test_a_scheduler_of_torch(name: str, spec: str) -> None:
    """As torch's tests do: stepped, the optimizer's LR and momentum read before each step."""
    counts = 10 if "OneCycle" in spec else 100  # where torch raises
    scheduler = to_torch(updated(spec, "step"), sgd(LR), counts, 1)
    group = scheduler.optimizer.param_groups[0]
    for count, wanted in enumerate(torch_trace(spec, counts)):
        assert (group["lr"], group["momentum"]) == wanted, count
        assert scheduler.get_last_lr() == [group["lr"]]
        scheduler.optimizer.step()
        scheduler.step()


@pytest.mark.parametrize(("name", "row"), rows(PLATEAU, "torch reduce_lr_on_plateau"))
def test_plateaus_of_torch(name: str, row: tuple[str, list[float], list[float]]) -> None:
    arguments, metrics, lrs = row
    optimizer = sgd(0.5)
    scheduler = to_torch(f"ReduceLROnPlateau({arguments})", optimizer, len(metrics), 1)
    assert scheduler.get_last_lr() == [0.5]
    for epoch, (metric, lr) in enumerate(zip(metrics, lrs, strict=True)):
        if epoch == 8:
            optimizer.add_param_group(groups((0.05,))[0])
        scheduler.step(metric)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(lr), epoch


@pytest.mark.parametrize(("name", "row"), rows(PEERS))
def test_a_schedule_of_a_peer(name: str, row: tuple[str, float, int, dict[int, float]]) -> None:
    spec, base, steps, lrs = row
    bound = parse(spec).bind(base, steps, 1)
    assert lrs
    for step, lr in lrs.items():
        assert bound.lr(step) == pytest.approx(lr, rel=1e-6, abs=1e-12), step


@pytest.mark.parametrize(("name", "row"), rows(GREEDY, "transformers greedy"))
def test_greedy_of_transformers(name: str, row: tuple[str, list[float], float]) -> None:
    arguments, metrics, lr = row
    bound = parse(f"greedy({arguments})").bind(0.1, len(metrics), 1)
    for epoch, metric in enumerate(metrics):
        bound.observe({"val_loss": float(metric)}, epoch)
    assert bound.lr(len(metrics)) == pytest.approx(lr)


@pytest.mark.parametrize("arguments", DECISIONS)
def test_greedy_decides_as_in_transformers(arguments: str) -> None:
    bound = parse(f"greedy({arguments})").bind(0.1, len(LOSSES), 1)
    cuts = [bound.observe({"val_loss": loss}, epoch) for epoch, loss in enumerate(LOSSES)]
    changes = {epoch + 1: cut[1] for epoch, cut in enumerate(cuts) if cut}
    assert changes == pytest.approx(DECISIONS[arguments])


def test_timm_plateau_after_a_warm_up() -> None:
    bound = parse("warmup(3ep, from=0.01) + plateau(factor=0.5, patience=1)").bind(0.1, 12, 1)
    for epoch, metric in enumerate([1, 1, 1, 0.9, 0.9, 0.9, 0.9, 0.8, 0.8, 0.8, 0.8]):
        bound.observe({"val_loss": metric}, epoch)
    expected = [0.01, 0.04, 0.07, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.025, 0.025]
    assert [bound.lr(epoch) for epoch in range(12)] == pytest.approx(expected)


@pytest.mark.parametrize("weights_only", [True, False])
@pytest.mark.parametrize("spec", SIXTEEN)
def test_torch_lr_scheduler_state_dict_load(spec: str, weights_only: bool) -> None:
    """Also step_lr_state_dict and the like: the loaded state goes on where the saved one was."""
    one, other = (to_torch(spec, sgd(0.1), 40, 1) for _ in range(2))
    metric = (1.0,) if "Plateau" in spec else ()
    for scheduler in (one, other):  # torch warns otherwise
        scheduler.optimizer.step()
    for _ in range(7):
        one.step(*metric)
    file = io.BytesIO()
    torch.save(one.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=weights_only))
    for _ in range(20):
        assert other.state_dict() == one.state_dict()
        assert other.get_last_lr() == one.get_last_lr()
        one.step(*metric)
        other.step(*metric)


@pytest.mark.parametrize("spec", [one for one in SIXTEEN if "Plateau" not in one])
def test_torch_constant_initial_lr(spec: str) -> None:
    """The initial LR is no alias of a tensor LR."""
    optimizer = sgd(torch.tensor(0.1))
    scheduler = to_torch(spec, optimizer, 40, 1)
    for _ in range(2):
        optimizer.step()
        scheduler.step()
        assert float(optimizer.param_groups[0]["initial_lr"]) == pytest.approx(0.1)
        assert [float(lr) for lr in scheduler.base_lrs] == pytest.approx([0.1])


@pytest.mark.parametrize("spec", [*SIXTEEN[2:3], *SIXTEEN[4:8]])
def test_torch_lr_is_constant_for_constant_epoch(spec: str) -> None:
    bound = parse(spec).bind(0.05, 20, 1)
    assert len({(bound.lr(step), bound.lr(2))[1] for step in range(10)}) == 1


@pytest.mark.parametrize(("name", "spec"), rows(REFUSED, "torch"))
def test_torch_refuses(name: str, spec: str) -> None:
    with pytest.raises(UsageError):
        parse(spec).bind(0.1, 10, 1)


@pytest.mark.parametrize("right", [False, True], ids=["old_pattern", "new_pattern"])
def test_torch_pattern_warning(right: bool) -> None:
    optimizer = sgd(0.05)
    scheduler = to_torch("StepLR(3)", optimizer, 35, 1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for call in (optimizer.step, scheduler.step)[:: 1 if right else -1]:
            call()
    assert bool(caught) != right
