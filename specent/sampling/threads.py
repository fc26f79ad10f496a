"""How many threads of the processor a network is worth.

A matrix product that is shared by threads ends when the last of them has finished. If another program has the core of
one of them, all wait for it, a few milliseconds each time: on a machine with other work a small network is many times
slower on all cores than on one. So there are as many threads as have enough to do in the mean matrix product of a
call. Threads change the order of sums, and so the last digits, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from specent import arguments

PER_THREAD = 10**8
"""Operations of a matrix product that are worth a thread: two or three milliseconds of a core."""

_MOST = 4096


def check_threads(threads: object) -> int | None:
    """A number of threads, or None for the rule of `suitable`.

    Examples
    --------
    >>> check_threads(2)
    2
    """
    return None if threads is None else arguments.whole(threads, "threads", least=1, most=_MOST)


@contextmanager
def limited(threads: int | None) -> Iterator[int]:
    """Within it torch computes with that many threads, afterwards with as many as before.

    Parameters
    ----------
    threads : int, optional
        Number of threads; None leaves it as it is.

    Yields
    ------
    int
        The number of threads.

    Examples
    --------
    >>> with limited(1) as threads:
    ...     threads
    1
    """
    before = torch.get_num_threads()
    try:
        if threads is not None and threads != before:
            torch.set_num_threads(threads)
        yield torch.get_num_threads()
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


def suitable(call: Callable[[], object], times: int = 1) -> int:
    """How many threads are worth it for a network: at least one, at most those that torch would take by itself.

    Parameters
    ----------
    call : callable
        A call of the network on a few states. It is not made if there is one thread to choose from.
    times : int
        How many times as many states the calls of the run have.

    Returns
    -------
    int
        One too if the call raises, for then it cannot be known.

    Examples
    --------
    >>> suitable(lambda: torch.ones(8, 8) @ torch.ones(8, 8))
    1
    """
    most = torch.get_num_threads()
    if most == 1:
        return 1
    products = _Products()  # type: ignore[no-untyped-call]
    try:
        with torch.no_grad(), limited(1), products:
            call()
    except Exception:  # the run itself says what is wrong, and where
        return 1
    return max(1, min(most, times * products.operations // (PER_THREAD * max(1, products.count))))


class _Products(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the matrix products of all that is computed within it, and their operations."""

    count = 0
    operations = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False: hiding it from the compiler, as is the rule, would load the compiler, which takes seconds."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        operations = flop_registry.get(func._overloadpacket)
        if operations is None and func is not torch.ops.prim.device.default:
            # in inference mode a linear layer arrives whole
            with self:
                parts = func.decompose(*args, **named)
            if parts is not NotImplemented:
                return parts
        result = func(*args, **named)
        if operations is not None:
            self.count += 1
            self.operations += int(operations(*args, **named, out_val=result))
        return result
