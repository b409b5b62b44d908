"""Float32 numbers as the doubles whose decimal text is the shortest that reads back to the same float32.

The shortest text has at most nine digits. A number of so few digits is a whole number below 2^53 over a power of ten
that a double holds exactly, so that one division gives the double of that text; six digits are tried first, because
every decimal of six digits survives the way through a float32.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

DIGITS: Final = (6, 7, 8, 9)
EXACT_POWERS: Final = 22
"""Powers of ten up to this one are doubles."""


def short_numbers(values: NDArray[np.floating]) -> Any:
    """Return nested lists of floats that print in the shortest form of their float32 value."""
    return shortest(values.astype(np.float32)).tolist()


def shortest(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the shortest decimals of ``values``, the same shape; what is not finite stays as it is."""
    exact = values.astype(np.float64).ravel()
    single = values.ravel()
    found = exact.copy()
    size = np.abs(exact)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        exponent = np.floor(np.log10(size))
        easy = (exponent >= 9 - EXACT_POWERS) & (exponent <= 5)
    open_rows = np.flatnonzero(easy)
    scale = 10.0 ** np.arange(EXACT_POWERS + 1)
    for digits in DIGITS:
        number = exact[open_rows]
        power = scale[(digits - 1 - exponent[open_rows]).astype(np.intp)]
        tried = np.rint(number * power) / power
        fits = tried.astype(np.float32) == single[open_rows]
        found[open_rows[fits]] = tried[fits]
        open_rows = open_rows[~fits]
        if not len(open_rows):
            break
    odd = np.flatnonzero(~easy & (size > 0) & np.isfinite(exact))
    hard = np.concatenate((open_rows, odd))
    if len(hard):
        found[hard] = single[hard].astype("U16").astype(np.float64)
    return found.reshape(values.shape)
