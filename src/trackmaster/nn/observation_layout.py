"""What an observation is made of: pictures and numbers, told apart by the shapes of its space.

Every network of the continuous agents derives its widths from here, so that one more action in the history or another
lidar needs no edit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trackmaster.nn.encoder import ShapeError

Observation = Any
"""Tensors with a leading batch axis, nested as the space is: a mapping, a sequence, or a single one."""

COLOURS = 3
MAX_LAST = 4
"""A last axis as short as this in a picture of three axes is that of the frames or colours."""
ACT_DIM, ACT_HISTORY, IMG_HISTORY, IMG_SIDE = 3, 4, 4, 64


def full_observation_space(act_history: int = ACT_HISTORY, side: int = IMG_SIDE) -> gym.Space[Any]:
    """Return the observation of the seed's full environment: speed, gear, rpm, pictures, the last actions."""
    numbers = [gym.spaces.Box(0.0, high, (1,)) for high in (1000.0, 6.0, np.inf)]
    pictures = gym.spaces.Box(0, 255, (IMG_HISTORY, side, side), np.uint8)
    return gym.spaces.Tuple((*numbers, pictures, *(analog_action_space() for _ in range(act_history))))


def analog_action_space() -> gym.spaces.Box:
    """Return gas, brake and steer, -1 to 1 each."""
    return gym.spaces.Box(-1.0, 1.0, (ACT_DIM,), np.float32)


@dataclass(frozen=True)
class Leaf:
    """One array of the observation."""

    path: tuple[int | str, ...]
    shape: tuple[int, ...]
    dtype: str

    @property
    def is_image(self) -> bool:
        """Whether it is a stack of pictures, (frames, rows, columns) or (frames, rows, columns, 3), and no numbers."""
        return len(self.shape) == 3 or self.is_coloured

    @property
    def is_coloured(self) -> bool:
        """Whether every picture has three colours."""
        return len(self.shape) == 4 and self.shape[3] == COLOURS

    def cut(self, first: int) -> "Leaf":
        """Return the leaf of its first numbers."""
        return Leaf(self.path, (min(first, self.size),), self.dtype)

    @property
    def size(self) -> int:
        """Numbers in one observation of it."""
        return int(np.prod(self.shape, dtype=np.int64))


class ObservationLayout:
    """The leaves of an observation space in their order.

    Args:
        space: a ``Box``, or ``Tuple`` and ``Dict`` of them.
        keys: of a ``Dict``, the entries to use; all when left out. Lets actor and critic see different parts.
        first: numbers of every vector to use, for an actor that sees less than its critic; all when left out.

    Raises:
        ShapeError: an entry is missing, is no box, or has a shape that is neither numbers nor that of pictures.
    """

    def __init__(self, space: gym.Space[Any], keys: Sequence[str] | None = None, first: int | None = None) -> None:
        if keys is not None:
            known = list(space.spaces) if isinstance(space, gym.spaces.Dict) else []
            if missing := [key for key in keys if key not in known]:
                raise ShapeError(f"the observation has no entry {', '.join(missing)}: there are {', '.join(known)}")
        chosen = None if keys is None else set(keys)
        leaves = (leaf for leaf in _leaves(space, ()) if chosen is None or leaf.path[0] in chosen)
        self.leaves = tuple(leaf if leaf.is_image or first is None else leaf.cut(first) for leaf in leaves)
        if len(self.images) > 1:
            raise ShapeError(f"the observation has {len(self.images)} stacks of pictures, expected at most one")

    @property
    def images(self) -> tuple[Leaf, ...]:
        """The stack of pictures, if there is one."""
        return tuple(leaf for leaf in self.leaves if leaf.is_image)

    @property
    def n_floats(self) -> int:
        """Numbers of one observation, pictures left out."""
        return sum(leaf.size for leaf in self.leaves if not leaf.is_image)

    def image_shape(self) -> tuple[int, int, int]:
        """Return channels, rows and columns.

        Raises:
            ShapeError: the observation has no picture.
        """
        if not self.images:
            raise ShapeError("the observation has no picture: use the MLP for numbers alone")
        frames, rows, columns = self.images[0].shape[:3]
        return frames * self.colours, rows, columns

    @property
    def colours(self) -> int:
        """Channels of one picture of the stack."""
        return COLOURS if self.images and self.images[0].is_coloured else 1

    def split(self, observation: Observation) -> tuple[list[Tensor], Tensor | None, list[Tensor]]:
        """Return the numbers before the picture, the picture, and the numbers after it.

        Returns:
            Float tensors (B, n), the picture (B, C, H, W) or None, float tensors (B, n). The colours of one picture
            of a stack follow each other among its channels.
        """
        before: list[Tensor] = []
        after: list[Tensor] = []
        image: Tensor | None = None
        for leaf in self.leaves:
            tensor = pick(observation, leaf.path)
            if leaf.is_coloured:
                image = tensor.permute(0, 1, 4, 2, 3).flatten(1, 2)
            elif leaf.is_image:
                image = tensor
            else:
                numbers = tensor.reshape(len(tensor), -1)
                (before if image is None else after).append(numbers[:, : leaf.size].float())
        return before, image, after

    def floats(self, observation: Observation) -> Tensor:
        """Return the numbers of observations, (B, n_floats)."""
        before, _, after = self.split(observation)
        return torch.cat(before + after, dim=1)


def pick(observation: Observation, path: tuple[int | str, ...]) -> Tensor:
    """Return the leaf of an observation that lies under a path."""
    for key in path:
        observation = observation[key]
    tensor: Tensor = observation
    return tensor


def as_unit_range(image: Tensor) -> Tensor:
    """Return pictures as floats from 0 to 1; floats are taken to be scaled already."""
    return image.float() / 255.0 if image.dtype == torch.uint8 else image.float()


def batched(observation: Any, device: torch.device | str = "cpu") -> Any:
    """Return arrays of an observation as tensors, nested as before; pictures stay bytes."""
    if isinstance(observation, Mapping):
        return {key: batched(value, device) for key, value in observation.items()}
    if isinstance(observation, tuple | list):
        return tuple(batched(value, device) for value in observation)
    array: NDArray[Any] = np.ascontiguousarray(observation)
    return torch.from_numpy(array if array.dtype in (np.uint8, np.float32) else array.astype(np.float32)).to(device)


def _leaves(space: gym.Space[Any], path: tuple[int | str, ...]) -> list[Leaf]:
    if isinstance(space, gym.spaces.Dict):
        return [leaf for key, part in space.spaces.items() for leaf in _leaves(part, (*path, key))]
    if isinstance(space, gym.spaces.Tuple):
        return [leaf for key, part in enumerate(space.spaces) for leaf in _leaves(part, (*path, key))]
    if not isinstance(space, gym.spaces.Box):
        raise ShapeError(f"a part of the observation is {type(space).__name__}, expected Box, Tuple or Dict")
    leaf = Leaf(path, space.shape, space.dtype.str)
    if len(leaf.shape) > 3 and not leaf.is_image:
        raise ShapeError(
            f"an observation of shape {leaf.shape} fits no network: expected numbers, grey pictures (frames, rows, "
            f"columns) or coloured ones (frames, rows, columns, {COLOURS})"
        )
    if leaf.is_image and leaf.shape[2] <= MAX_LAST < leaf.shape[1]:
        raise ShapeError(
            f"pictures of shape {leaf.shape} seem to have their channels last: networks take the stack first, "
            f"{(leaf.shape[-1], *leaf.shape[:-1])}. Transpose them in the environment or with an obs_preprocessor"
        )
    return [leaf]
