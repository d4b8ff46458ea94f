"""doors.py - what the doors with other libraries' signatures share.

A door checks its arguments as the original does, names the problem, and calls
the op. Nothing here reads an address, so that torch.compile can follow a door
down to the op.
"""

from . import frameworks
from .config import settings
from .errors import UnsupportedError
from .recurrent import OPTIONS, equal, spell

# The state dtypes that exist for an io dtype.
STATES = {"f32": ("f32",), "bf16": ("f32", "bf16"), "f16": ("f32", "f16")}

_layers = {}  # what a door calls, by what it asks for


def fail(message):
    """The originals assert; -O does not switch this off. Called where a check
    has failed: a message that is put together before that would have
    torch.compile take its numbers, B say, for constants."""
    raise AssertionError(message)


def refuse(argument, why):
    """An argument that the original serves and libgdr does not."""
    raise UnsupportedError(f"{argument}: not served by libgdr: {why}")


def dtype_of(name, x, allowed):
    """The dtype's short name, if libgdr has a kernel for it there."""
    dtype = frameworks.of(x).dtype_of(x)
    if dtype not in allowed:
        refuse(f"{name} of dtype {dtype}", "only " + ", ".join(allowed))
    return dtype


def problem_of(contract, v_first, io, state, K, V, l2norm, gate):
    """A problem's text. A ring rounds between tokens, so that a packet gives
    the states that single tokens would."""
    layout = "vk" if v_first else "kv"
    return (f"recurrent:{contract}:{layout}:{io}/{state}:k{K}v{V}"
            + (":l2norm" if l2norm else "") + f":{gate}"
            + (":round" if contract == "ring" else ""))


def _spelled(fields, scale, neg_eigval):
    return (problem_of(*fields),
            spell({**OPTIONS, "scale": scale, "neg_eigval": neg_eigval}))


def _layer(fields, scale, neg_eigval):
    key = (fields, scale, neg_eigval, settings.generation)
    layer = _layers.get(key)
    if layer is None:
        layer = _layers[key] = equal(*_spelled(fields, scale, neg_eigval))
    return layer


def run(fields, q, k, v, g=None, beta=None, a=None, b=None, A_log=None,
        dt_bias=None, state=None, state_indices=None, cache_seqlens=None,
        out=None, scale=None, neg_eigval=False):
    """o of the op. fields: the arguments of problem_of; the rest: as for
    Recurrent."""
    tensors = (q, k, v, g, beta, a, b, A_log, dt_bias)
    if frameworks.of(q).wants_op(tensors):
        from .torch_op import recurrent
        o = recurrent(*_spelled(fields, scale, neg_eigval), q, k, v, g, beta,
                      a, b, A_log, dt_bias, state, state_indices,
                      cache_seqlens, None, None)
        return o if out is None else out.copy_(o)
    return _layer(fields, scale, neg_eigval)(
        q, k, v, g, beta, a=a, b=b, A_log=A_log, dt_bias=dt_bias, state=state,
        state_indices=state_indices, cache_seqlens=cache_seqlens, out=out)
