"""A function that PyTorch compiles, or, where that fails, the function itself and a sentence why."""

from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

import torch

from trackmaster.rl.iqn.config import CompileMode

P = ParamSpec("P")
R = TypeVar("R")


class Compiled(Generic[P, R]):
    """Calls a function, compiled if asked for; the first call decides whether compiling works on this machine.

    The function must have no effect but its result, because a call that could not be compiled is made again without.

    Args:
        function: what to compile.
        wanted: False calls it as it is.
        mode: of ``torch.compile``.
        backend: of ``torch.compile``; a test needs one without a C++ compiler.
        say: where the sentence about a failure goes.
    """

    def __init__(
        self,
        function: Callable[P, R],
        *,
        wanted: bool,
        mode: CompileMode = "default",
        backend: str = "inductor",
        say: Callable[[str], None] = print,
    ) -> None:
        self._plain, self._say = function, say
        self._compiled: Callable[P, R] | None = None
        if wanted:
            options: dict[str, Any] = {"mode": mode} if backend == "inductor" else {}
            self._compiled = torch.compile(function, backend=backend, dynamic=False, **options)
        self.calls_compiled = 0
        """Calls that the compiled function has answered."""

    @property
    def is_compiled(self) -> bool:
        """Whether the next call goes to the compiled function."""
        return self._compiled is not None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the function's result."""
        if self._compiled is None:
            return self._plain(*args, **kwargs)
        try:
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
            result = self._compiled(*args, **kwargs)
        except Exception as error:  # whatever the compiler, its back end or its C++ compiler fails with
            if self.calls_compiled:
                raise
            self._compiled = None
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            self._say(
                f"The network is not compiled on this machine ({type(error).__name__}: {reason}); the run goes on "
                "without, at the same results. Set neural_network.use_jit to false to hide this line."
            )
            return self._plain(*args, **kwargs)
        self.calls_compiled += 1
        return result
