"""The tables of `test_schedules.py`: what peers' tests assert, and what does not apply."""

# ruff: noqa: E501  (a row a line)
import math


def half_cosine(start: float, end: float, x: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * x)) / 2


def restarts(mult: int, counts: int) -> list[float]:
    lrs, here, length = [], 0, 10
    for _ in range(counts):
        lrs.append(half_cosine(0.05, 1e-10, here / length))
        here += 1
        if here == length:
            here, length = 0, length * mult
    return lrs


COSINE = [half_cosine(0.05, 1e-10, n / 10) for n in range(10)]
RISE = [0.4, 0.55, 0.7, 0.85, *[1] * 7]
STAIRS = [1.0] * 3 + [0.1] * 3 + [0.01] * 3 + [0.001]
MARKS = [1.0] * 2 + [0.1] * 3 + [0.01] * 4 + [0.001]
POLY = [0.05 * (1 - n / 5) ** 0.9 for n in range(5)] + [0.0] * 5
TRIANGLE = [1, 2, 3, 4, 5, 4, 3, 2, 1, 2, 3]
TRIANGLE2 = [*TRIANGLE[:9], 1.5, 2, 2.5, 3, 2.5, 2, 1.5, 1, 1.25, 1.5, 1.75, 2, 1.75]
SHRINKING = [
    1 + 4 * x * 0.9**i
    for i, x in enumerate([0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25, 0, 0.25, 0.5, 0.75, 1])
]
UNEVEN = [1, 2, 3, 4, 5, 13 / 3, 11 / 3, 3, 7 / 3, 5 / 3, 1]
UNEVEN2 = [1, *UNEVEN[2:5:2], *UNEVEN[5:], 2, *(3 - n / 3 for n in range(7)), 1.5, 2, 11 / 6]
UNEVEN_SHRINKING = [
    1 + 4 * x * 0.9**i
    for i, x in enumerate([0, 0.5, 1, 5 / 6, 4 / 6, 0.5, 2 / 6, 1 / 6, 0, 0.5, 1, 5 / 6, 4 / 6])
]
ONE_CYCLE = [1, 13, 25, 21.5, 18, 14.5, 11, 7.5, 4, 0.5]
CYCLIC = "CyclicLR(base_lr=1, max_lr=5, base_momentum=0.1, max_momentum=0.5"

TORCH: dict[str, tuple[str, list[float]]] = {
    "step_lr, get_last_lr_step_lr": ("StepLR(gamma=0.1, step_size=3)", [0.05 * x for x in STAIRS]),
    "multi_step_lr, get_last_lr_multi_step_lr, multi_step_lr_with_epoch": ("MultiStepLR(gamma=0.1, milestones=[2, 5, 9])", [0.05 * x for x in MARKS]),
    "constantlr, get_last_lr_constantlr, constantlr_with_epoch": ("ConstantLR(factor=1.0/2, total_iters=5)", [0.025] * 5 + [0.05] * 5),
    "linearlr, linearlr_with_epoch": ("LinearLR(start_factor=1.0/2, total_iters=4)", [0.025, 0.03125, 0.0375, 0.04375] + [0.05] * 6),
    "get_last_lr_linearlr": ("LinearLR(start_factor=1/4, end_factor=3/5, total_iters=4)", [0.0125, 0.016875, 0.02125, 0.025625] + [0.03] * 6),
    "exp_lr": ("ExponentialLR(gamma=0.9)", [0.05 * 0.9**n for n in range(10)]),
    "poly_lr": ("PolynomialLR(power=0.9, total_iters=5)", POLY),
    "cos_anneal_lr": ("CosineAnnealingLR(T_max=10, eta_min=1e-10)", COSINE),
    "closed_form_step_lr": ("StepLR(gamma=0.1, step_size=3)", [0.05 * 0.1 ** (n // 3) for n in range(20)]),
    "closed_form_linearlr": ("LinearLR(start_factor=1/3, end_factor=0.7, total_iters=4)", [0.05 * (1 / 3 + (0.7 - 1 / 3) * min(n, 4) / 4) for n in range(20)]),
    "closed_form_constantlr": ("ConstantLR(factor=1/3, total_iters=4)", [0.05 / 3] * 4 + [0.05] * 16),
    "closed_form_multi_step_lr": ("MultiStepLR(gamma=0.1, milestones=[2, 5, 9])", [0.05 * x for x in [*MARKS, *[0.001] * 10]]),
    "closed_form_exp_lr": ("ExponentialLR(gamma=0.9)", [0.05 * 0.9**n for n in range(20)]),
    "closed_form_poly_lr": ("PolynomialLR(power=0.9)", POLY + [0.0] * 10),
    "closed_form_cos_anneal_lr": ("CosineAnnealingLR(T_max=5, eta_min=1e-10)", [half_cosine(0.05, 1e-10, n / 5) for n in range(20)]),
    "sequentiallr1": ("SequentialLR([ExponentialLR(gamma=0.8), StepLR(gamma=0.1, step_size=4)], milestones=[3])", [0.05, 0.04, 0.032] + [0.05 * 0.1 ** (n // 4) for n in range(16)]),
    "sequentiallr2": ("SequentialLR([ConstantLR(factor=0.1, total_iters=3), ExponentialLR(gamma=0.9)], milestones=[3])", [0.005] * 3 + [0.05 * 0.9**n for n in range(10)]),
    "sequentiallr3, get_last_lr_sequentiallr": ("SequentialLR([ConstantLR(factor=0.1, total_iters=3), ExponentialLR(gamma=0.8), StepLR(gamma=0.1, step_size=2)], milestones=[3, 6])", [0.005] * 3 + [0.05, 0.04, 0.032, 0.05, 0.05, 0.005, 0.005, 0.0005, 0.0005]),
    "sequentiallr4": ("SequentialLR([ConstantLR(factor=1), ConstantLR(factor=0.1)], milestones=[10])", [0.05] * 10 + [0.005] * 5),
    "sequentiallr5": ("SequentialLR([ChainedScheduler([LinearLR(start_factor=0.1, total_iters=5), ConstantLR(factor=0.1, total_iters=5)]), ConstantLR(factor=0.5, total_iters=5)], milestones=[5])", [0.0005, 0.0014, 0.0023, 0.0032, 0.0041] + [0.025] * 5),
    "sequentiallr_does_not_alias_lr_and_initial_lr": ("SequentialLR([LinearLR(0.1, 0.8, total_iters=4), LinearLR(0.8, 0.1, total_iters=4)], milestones=[4])", [0.05 * x for x in [0.1, 0.275, 0.45, 0.625, 0.8, 0.625, 0.45, 0.275]]),
    "chained_lr1": ("ChainedScheduler([StepLR(gamma=0.1, step_size=3)])", [0.05 * x for x in STAIRS]),
    "chained_lr2": ("ChainedScheduler([LinearLR(start_factor=0.4, total_iters=3)])", [0.02, 0.03, 0.04] + [0.05] * 7),
    "chained_lr3, chained_lr2_get_last_lr_before_step": ("ChainedScheduler([LinearLR(start_factor=0.4, total_iters=3), MultiStepLR(milestones=[4, 8, 10], gamma=0.1)])", [0.02, 0.03, 0.04, 0.05] + [0.005] * 4 + [0.0005] * 2),
    "chained_lr4": ("ChainedScheduler([ExponentialLR(gamma=0.9), ConstantLR(factor=0.2, total_iters=4), StepLR(gamma=0.1, step_size=3)])", [0.05 * 0.9**n * (0.2 if n < 4 else 1) * 0.1 ** (n // 3) for n in range(9)]),
    "chained_lr5": ("ChainedScheduler([PolynomialLR(power=0.9, total_iters=5), ConstantLR(factor=0.1)])", [0.1 * x for x in POLY]),
    "compound_step_and_multistep_lr": ("ChainedScheduler([StepLR(gamma=0.1, step_size=3), MultiStepLR(gamma=0.1, milestones=[2, 5, 9])])", [0.05 * x * y for x, y in zip(STAIRS, MARKS, strict=True)]),
    "compound_step_and_exp_lr": ("ChainedScheduler([StepLR(gamma=0.1, step_size=3), ExponentialLR(gamma=0.9)])", [0.05 * x * 0.9**n for n, x in enumerate(STAIRS)]),
    "compound_exp_and_multistep_lr": ("ChainedScheduler([MultiStepLR(gamma=0.1, milestones=[2, 5, 9]), ExponentialLR(gamma=0.9)])", [0.05 * x * 0.9**n for n, x in enumerate(MARKS)]),
    "compound_exp_and_linearlr": ("ChainedScheduler([LinearLR(start_factor=0.4, end_factor=0.9, total_iters=4), ExponentialLR(gamma=0.9)])", [0.05 * 0.9**n * (0.4 + 0.5 * min(n, 4) / 4) for n in range(10)]),
    "compound_step_and_constantlr": ("ChainedScheduler([StepLR(gamma=0.1, step_size=3), ConstantLR(factor=0.4, total_iters=4)])", [0.05 * x * (0.4 if n < 4 else 1) for n, x in enumerate(STAIRS)]),
    "compound_linearlr_and_multistep_lr": ("ChainedScheduler([MultiStepLR(gamma=0.1, milestones=[2, 5, 9]), LinearLR(start_factor=0.4, total_iters=4)])", [0.05 * x * y for x, y in zip(MARKS, RISE, strict=False)]),
    "compound_cosanneal_and_step_lr": ("ChainedScheduler([CosineAnnealingLR(T_max=10, eta_min=1e-10), StepLR(gamma=0.1, step_size=3)])", [x * y for x, y in zip(COSINE, STAIRS, strict=True)]),
    "compound_cosanneal_and_multistep_lr": ("ChainedScheduler([CosineAnnealingLR(T_max=10, eta_min=1e-10), MultiStepLR(gamma=0.1, milestones=[2, 5, 9])])", [x * y for x, y in zip(COSINE, MARKS, strict=True)]),
    "compound_cosanneal_and_linearlr": ("ChainedScheduler([LinearLR(start_factor=0.4, total_iters=4), CosineAnnealingLR(T_max=10, eta_min=1e-10)])", [x * y for x, y in zip(COSINE, RISE, strict=False)]),
    "compound_cosanneal_and_exp_lr": ("ChainedScheduler([CosineAnnealingLR(T_max=10, eta_min=1e-10), ExponentialLR(gamma=0.1)])", [x * 0.1**n for n, x in enumerate(COSINE)]),
    "lambda_lr": ("LambdaLR(lr_lambda=[lambda x1: 0.9**x1])", [0.05 * 0.9**n for n in range(10)]),
    "multiplicative_lr": ("MultiplicativeLR(lr_lambda=[lambda x1: 0.9])", [0.05 * 0.9**n for n in range(10)]),
    "CosineAnnealingWarmRestarts_lr1[1]": ("CosineAnnealingWarmRestarts(T_0=10, T_mult=1, eta_min=1e-10)", restarts(1, 100)),
    "CosineAnnealingWarmRestarts_lr1[2]": ("CosineAnnealingWarmRestarts(T_0=10, T_mult=2, eta_min=1e-10)", restarts(2, 100)),
    "CosineAnnealingWarmRestarts_lr1[4]": ("CosineAnnealingWarmRestarts(T_0=10, T_mult=4, eta_min=1e-10)", restarts(4, 100)),
    "cosine_then_cyclic": ("SequentialLR([CosineAnnealingLR(T_max=20, eta_min=0.01), CyclicLR(base_lr=0.01, max_lr=0.03, step_size_up=1, step_size_down=3)], milestones=[21])", [half_cosine(0.05, 0.01, n / 20) for n in range(21)] + [0.01, 0.03, 0.07 / 3, 0.05 / 3] * 4),
    "cycle_lr_triangular_mode_one_lr, cycle_lr_triangular_mode": (f"{CYCLIC}, step_size_up=4)", TRIANGLE),
    "cycle_lr_triangular_mode_one_lr_no_momentum": ("CyclicLR(base_lr=1, max_lr=5, step_size_up=4, cycle_momentum=False)", TRIANGLE),
    "cycle_lr_triangular2_mode_one_lr, cycle_lr_triangular2_mode": (f'{CYCLIC}, step_size_up=4, mode="triangular2")', TRIANGLE2),
    "cycle_lr_exp_range_mode_one_lr, cycle_lr_exp_range_mode": (f'{CYCLIC}, step_size_up=4, mode="exp_range", gamma=0.9)', SHRINKING),
    "cycle_lr_triangular_mode_step_size_up_down": (f"{CYCLIC}, step_size_up=4, step_size_down=6)", UNEVEN),
    "cycle_lr_triangular2_mode_step_size_up_down": (f'{CYCLIC}, step_size_up=2, step_size_down=6, mode="triangular2")', UNEVEN2),
    "cycle_lr_exp_range_mode_step_size_up_down": (f'{CYCLIC}, step_size_up=2, step_size_down=6, mode="exp_range", gamma=0.9)', UNEVEN_SHRINKING),
    "onecycle_lr_linear_annealing, cycle_lr_with_adam": ('OneCycleLR(max_lr=25, final_div_factor=2, base_momentum=0.01, max_momentum=0.22, total_steps=10, anneal_strategy="linear")', ONE_CYCLE),
    "onecycle_lr_linear_annealing_three_phases": ('OneCycleLR(max_lr=25, div_factor=25, base_momentum=0.01, max_momentum=0.22, total_steps=10, anneal_strategy="linear", pct_start=0.4, final_div_factor=4, three_phase=True)', [1, 9, 17, 25, 17, 9, 1, 0.75, 0.5, 0.25]),
    "onecycle_lr_cosine_annealing": ("OneCycleLR(max_lr=25, final_div_factor=2, base_momentum=0.01, max_momentum=0.22, total_steps=10)", [1, 13, 25, *(half_cosine(25, 0.5, n / 7) for n in range(1, 8))]),
}  # fmt: skip
MOMENTUM = {  # the test -> the momentum that it asserts, scaled below 1
    "cycle_lr_triangular_mode_one_lr, cycle_lr_triangular_mode": [(6 - x) / 10 for x in TRIANGLE],
    "cycle_lr_triangular2_mode_one_lr, cycle_lr_triangular2_mode": [(6 - x) / 10 for x in TRIANGLE2],
    "cycle_lr_exp_range_mode_one_lr, cycle_lr_exp_range_mode": [(6 - x) / 10 for x in SHRINKING],
    "cycle_lr_triangular_mode_step_size_up_down": [(6 - x) / 10 for x in UNEVEN],
    "cycle_lr_triangular2_mode_step_size_up_down": [(6 - x) / 10 for x in UNEVEN2],
    "cycle_lr_exp_range_mode_step_size_up_down": [(6 - x) / 10 for x in UNEVEN_SHRINKING],
    "onecycle_lr_linear_annealing, cycle_lr_with_adam": [x / 100 for x in [22, 11.5, 1, 4, 7, 10, 13, 16, 19, 22]],
    "onecycle_lr_linear_annealing_three_phases": [x / 100 for x in [22, 15, 8, 1, 8, 15, 22, 22, 22, 22]],
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
LAST_EPOCH = "last_epoch=: to_torch goes on by load_state_dict"
STEP_OF = "step(epoch) is deprecated in torch; any step may be asked here"
GROUPS = "lists by parameter group: here each group has its own spec"
NOT_APPLICABLE = {
    "torch error_when_getlr_has_epoch": "a user's own faulty subclass of LRScheduler",
    "torch no_cyclic_references, no_cyclic_references_in_step, cycle_lr_removed_after_out_of_scope": "memory of torch's own classes",
    "torch old_pattern_warning_resuming, old_pattern_warning_resuming_with_arg, old_pattern_warning_with_overridden_optim_step, raise_error_when_last_epoch_is_greater_than_0, cos_anneal_lr_continue, lr_scheduler_checkpoint, lr_scheduler_checkpoint_on_plateau": LAST_EPOCH,
    "torch CosineAnnealingWarmRestarts_lr2, CosineAnnealingWarmRestarts_lr3, CosineAnnealingWarmRestarts_T_cur_reset": f"fractions of an epoch: {STEP_OF}",
    "torch compound_reduce_lr_on_plateau1, compound_reduce_lr_on_plateau2, compound_reduce_lr_on_plateau3, compound_reduce_lr_on_plateau4, compound_reduce_lr_on_plateau5": "two schedulers that write one LR; torch's test compares no LR",
    "torch cycle_lr_cycle_momentum_fail_with_momentumless_optimizer": "an optimizer without momentum keeps none, without an error",
    "torch cycle_lr_state_dict_picklable, cycle_lr_scale_fn_restored_from_state_dict": "scale_fn= is code; write expr(...)",
    "torch onecycle_lr_cannot_calculate_total_steps": "total_steps follows from the run",
    "torch onecycle_lr_legacy_state_dict, lambda_lr_state_dict_obj": "the state is the step alone",
    "torch multiplicative_lr_with_lr_lambda": "a number is an expression",
    "torch swalr_no_anneal, swalr_cosine_anneal_after_multiplicative, swalr_linear_anneal_after_multiplicative, swalr_hypers, swa_lr_state_dict, constant_initial_params_swalr": "SWALR belongs to weight averaging",
    "torch add_param_group_errors_reduce_lr_on_plateau, constant_initial_params_cyclelr, constant_initial_params_onecyclelr": GROUPS,
    "timm scheduler_init, scheduler_step, plateau_scheduler_step, step_update_with_t_in_epochs_false, multiple_param_groups, warmup_lr_increases": "asserts no LR; the rows above do",
    "timm get_cycle_length": "the run is as long as the run says",
    "timm state_dict_save_load, plateau_state_dict_save_load": "the state is the step alone; see torch lr_scheduler_state_dict_load",
    "timm noise_range": "a schedule is a pure function of the step, without noise",
    "transformers adam_w, adafactor": "optimizers",
    "optax polynomial zero_steps_schedule, exponential nonvalid_transition_steps, piecewise_interpolate zero_interval_size, onecycle nonpositive_transition_steps": "a length of 0 or less is refused, or left out of a sum",
    "optax piecewise_constant negative, exponential nonvalid_decay_rate, warmup_cosine with_exponent, warmup_cosine zero_peak_value, piecewise_interpolate invalid_scale": "LRs that are negative or not above 0",
    "optax warmup_cosine monotonicity_and_exponent_ordering": "the exponent is written by expr(...), as in cosine with_exponent",
    "optax warmup_cosine raises_when_decay_equals_warmup": "a notice instead: the phase after the warm-up never starts",
    "optax piecewise_interpolate invalid_type": "the words of an option, by Python's own types",
    "optax inject_hyperparams, optimization": "jax's optimizers",
}  # fmt: skip
