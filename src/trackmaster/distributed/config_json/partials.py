"""``partial`` of the seed: calls with some arguments filled in, also for arguments that are calls themselves."""

import functools
import inspect
from collections.abc import Callable
from typing import Any


def _default_of_the_signature() -> None:
    """Stands for the default of whatever parameter a partial is given to."""


def partial(func: Callable[..., Any] = _default_of_the_signature, *args: Any, **kwargs: Any) -> functools.partial[Any]:
    """Return ``functools.partial``; one without a function, given by keyword to another, fills in that one's default.

    ``partial(Outer, agent_cls=partial(lr=0.1))`` calls ``Outer`` with the default of its parameter ``agent_cls``, in
    which ``lr`` is filled in.

    Raises:
        TypeError: the outer function has no default for such a parameter.
    """
    for name, value in kwargs.items():
        if isinstance(value, functools.partial) and value.func is _default_of_the_signature:
            parameter = inspect.signature(func).parameters.get(name)
            if parameter is None or not callable(parameter.default):
                raise TypeError(f"partial for {name!r} names no function, and {func} has no default for it")
            kwargs[name] = functools.partial(parameter.default, *value.args, **value.keywords)
    return functools.partial(func, *args, **kwargs)
