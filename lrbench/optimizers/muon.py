"""Muon for matrices and AdamW for everything else, as one optimizer."""

from typing import Any

import torch
from torch.optim import AdamW, Optimizer


class MuonAdamW(Optimizer):
    """torch's Muon on every parameter of two dimensions, AdamW on the others.

    Muon's update is scaled to the size of AdamW's (`adjust_lr_fn="match_rms_adamw"`), so that
    one learning rate and one weight decay serve both. `betas` is AdamW's; other settings are
    Muon's. Both follow the learning rates written into this optimizer's groups.
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
        muon = {"adjust_lr_fn": "match_rms_adamw", **settings}
        matrices, others = _split(self.param_groups, matrices=True), _split(self.param_groups)
        if not matrices:
            raise ValueError("the model has no parameter of two dimensions; use adamw")
        self._parts: list[tuple[Optimizer, list[int]]] = [
            (Muon([group for _, group in matrices], **muon), [place for place, _ in matrices])
        ]
        if others:
            adamw = AdamW([group for _, group in others], betas=betas, fused=True)
            self._parts.append((adamw, [place for place, _ in others]))

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for part, places in self._parts:
            for group, place in zip(part.param_groups, places, strict=True):
                for key in ("lr", "weight_decay"):
                    group[key] = self.param_groups[place][key]
            part.step()

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "parts": [part.state_dict() for part, _ in self._parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        own = {key: value for key, value in state_dict.items() if key != "parts"}
        super().load_state_dict(own)
        for (part, _), state in zip(self._parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)


def _split(
    groups: list[dict[str, Any]], *, matrices: bool = False
) -> list[tuple[int, dict[str, Any]]]:
    """(index, group) of the groups with matrices, or with anything else, reduced to those."""
    parts = []
    for place, group in enumerate(groups):
        params = [p for p in group["params"] if (p.ndim == 2) == matrices]
        if params:
            part = {"params": params, "lr": group["lr"], "weight_decay": group["weight_decay"]}
            parts.append((place, part))
    return parts
