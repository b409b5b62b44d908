"""How every state that an exploration keeps was driven: a tree of short drives, each from the end of another."""

import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

ROOT = -1
"""What the drive from the start itself goes on from."""


class Journal:
    """Short drives by number; a drive stays when something earlier takes its place in an archive."""

    def __init__(self) -> None:
        """Begin without drives."""
        self._parents: list[int] = []
        self._keys: list[U8] = []
        self._paths: list[F32] = []
        self._lengths_m: list[float] = []

    def add(self, parent: int, keys: U8, path_m: F32) -> int:
        """Note a drive and return its number.

        Args:
            parent: number of the drive that it goes on from, :data:`ROOT` for none.
            keys: (D,) key bits per decision.
            path_m: (D, 3) car origin after each decision.
        """
        self._parents.append(parent)
        self._keys.append(keys.copy())
        self._paths.append(path_m.copy())
        before = path_m[:1] if parent == ROOT else self._paths[parent][-1:]
        steps = np.diff(np.concatenate([before, path_m]), axis=0)
        so_far_m = 0.0 if parent == ROOT else self._lengths_m[parent]
        self._lengths_m.append(so_far_m + float(np.linalg.norm(steps, axis=1).sum()))
        return len(self._parents) - 1

    def keys_to(self, node: int) -> U8:
        """Return the keys (D,) of all decisions from the start to the end of a drive."""
        return np.concatenate([self._keys[k] for k in self._chain(node)])

    def path_to(self, node: int) -> F32:
        """Return where the car was (D, 3) after each decision from the start to the end of a drive."""
        return np.concatenate([self._paths[k] for k in self._chain(node)])

    def length_m(self, node: int) -> float:
        """Return how far the car drove from the start to the end of a drive."""
        return self._lengths_m[node]

    def _chain(self, node: int) -> list[int]:
        chain = []
        while node != ROOT:
            chain.append(node)
            node = self._parents[node]
        return chain[::-1]
