"""Muon for matrices and AdamW for everything else, as one optimizer."""

from typing import Any

import torch
from torch.optim import AdamW, Optimizer

FOLLOWED = ("lr", "weight_decay")


class MuonAdamW(Optimizer):
    """torch's Muon for every parameter with two dimensions, AdamW for the others.

    Muon's update is scaled to the size of AdamW's (`adjust_lr_fn="match_rms_adamw"`), so that one
    learning rate and one weight decay suit both. `betas` are AdamW's; other settings are Muon's.
    Both use the learning rates and weight decays of this optimizer's groups.
    """

    def __init__(
        self,
        groups: list[dict[str, Any]],
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        **settings: Any,
    ) -> None:
        from torch.optim import Muon

        super().__init__(groups, {})
        matrices = _reduced(self.param_groups, matrices=True)
        if not matrices:
            raise ValueError("the model has no two-dimensional parameter; use adamw")
        muon = Muon([*matrices.values()], **{"adjust_lr_fn": "match_rms_adamw", **settings})
        # each with the indices of its groups in this optimizer
        self._parts: list[tuple[Optimizer, list[int]]] = [(muon, [*matrices])]
        if others := _reduced(self.param_groups, matrices=False):
            self._parts.append((AdamW([*others.values()], betas=betas, fused=True), [*others]))

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for part, places in self._parts:
            for group, place in zip(part.param_groups, places, strict=True):
                group.update({key: self.param_groups[place][key] for key in FOLLOWED})
            part.step()

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "parts": [part.state_dict() for part, _ in self._parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        own = {key: value for key, value in state_dict.items() if key != "parts"}
        super().load_state_dict(own)
        for (part, _), state in zip(self._parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)


def _reduced(groups: list[dict[str, Any]], *, matrices: bool) -> dict[int, dict[str, Any]]:
    """The groups, by index, with only their matrices or only their other parameters; empty
    groups are left out."""
    parts = {}
    for place, group in enumerate(groups):
        if params := [p for p in group["params"] if (p.ndim == 2) == matrices]:
            parts[place] = {"params": params, **{key: group[key] for key in FOLLOWED}}
    return parts
