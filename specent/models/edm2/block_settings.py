"""Settings of a stored network that no shape of its weights shows, compared with those that are computed here.

Channels per attention head, resampling filter, limit of the activations and balances of sums can have any value in a
file, and its tensors have the same names and shapes. The networks here have one value of each.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from specent.arguments import brief
from specent.errors import ModelError
from specent.models.edm2.architecture import Config, Precond
from specent.models.edm2.layers import CLIP, FILTER, HEAD, RESIDUAL_BALANCE, Block

_LONGEST = 200
_ABSENT = object()


def check_settings(modules: Iterable[tuple[str, Iterable[tuple[Any, Any]]]], config: Config, what: str) -> None:
    """Refuse a file whose modules were trained with other settings than those that are computed here.

    Parameters
    ----------
    modules : iterable of (str, iterable of pairs)
        Name of every stored module, empty for the outermost, and names and values of the settings recorded with it.
    config : Config
        Sizes and balances that were read from the file.
    what : str
        Name of the file in messages.

    Raises
    ------
    ModelError
        Naming the module, the setting, its value and the one that is computed here.
    """
    with torch.device("meta"):
        computed = dict(Precond(config).named_modules())
    for name, settings in modules:
        block = computed.get(name)
        for setting, value in settings:
            if not isinstance(setting, str):
                raise ModelError(f"{what}: {name or 'ema'} has a setting named {brief(setting)}; names are text")
            own = _computed(setting, config, block if isinstance(block, Block) else None)
            if own is not _ABSENT and not _same(value, own):
                raise ModelError(
                    f"{what}: {name or 'ema'} has {setting[:_LONGEST]}={brief(value)}, but the networks here have "
                    f"{brief(own)} and would compute something else; use a published EDM2 network"
                )


def _computed(setting: str, config: Config, block: Block | None) -> Any:
    """Value of a setting in the networks here, or `_ABSENT` if it changes nothing or shows in the shapes."""
    known = {
        "channels_per_head": HEAD,
        "resample_filter": FILTER,
        "clip_act": CLIP,
        "res_balance": RESIDUAL_BALANCE,
        "attn_balance": RESIDUAL_BALANCE,
        "label_balance": config.label_balance,
        "concat_balance": config.concat_balance,
        "sigma_data": config.sigma_data,
    }
    if setting in known or block is None:
        return known.get(setting, _ABSENT)
    if setting == "num_heads":
        return block.heads
    # any other balance or limit of a block: there is one value of each here
    return RESIDUAL_BALANCE if setting.endswith("balance") else CLIP if setting.startswith("clip") else _ABSENT


def _same(value: Any, own: Any) -> bool:
    """Whether a recorded value is the number, or the sequence of numbers, that is computed here."""
    if isinstance(own, tuple):
        return isinstance(value, (list, tuple)) and len(value) == len(own) and all(map(_same, value, own))
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == own
