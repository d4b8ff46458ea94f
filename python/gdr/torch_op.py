"""torch_op.py - the op `recurrent` as a custom op of PyTorch, gdr::recurrent.

torch.compile keeps it in its graph as one opaque call that updates `state`
(and fills `snapshots`) in place. It has no derivative: backward raises, as it
does for the libraries whose doors use it.
"""

from typing import Optional

import torch
from torch import Tensor

from .recurrent import equal


@torch.library.custom_op("gdr::recurrent",
                         mutates_args=("state", "snapshots"))
def recurrent(problem: str, spelled: str, q: Tensor, k: Tensor, v: Tensor,
              g: Optional[Tensor], beta: Optional[Tensor],
              a: Optional[Tensor], b: Optional[Tensor],
              A_log: Optional[Tensor], dt_bias: Optional[Tensor],
              state: Tensor, state_indices: Optional[Tensor],
              cache_seqlens: Optional[Tensor], accepted: Optional[Tensor],
              snapshots: Optional[Tensor]) -> Tensor:
    """o [B, T, Hv, V] of recurrent.equal(problem, spelled) for the tensors of
    Recurrent.__call__."""
    return equal(problem, spelled)(
        q, k, v, g, beta, a=a, b=b, A_log=A_log, dt_bias=dt_bias, state=state,
        state_indices=state_indices, cache_seqlens=cache_seqlens,
        accepted=accepted, snapshots=snapshots)


@recurrent.register_fake
def _(problem, spelled, q, k, v, g, beta, a, b, A_log, dt_bias, state,
      state_indices, cache_seqlens, accepted, snapshots):
    return v.new_empty(v.shape)
