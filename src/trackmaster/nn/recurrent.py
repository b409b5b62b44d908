"""A convolutional network with memory: frames one by one through an LSTM whose state lives outside of it.

The state is an argument and a result. Whoever drives keeps it per car and starts it at zero with every episode;
whoever learns gets it from where the sample was taken.
"""

from collections.abc import Sequence
from typing import Any, Final

import gymnasium as gym
import torch
from torch import Tensor, nn

from trackmaster.nn.observation_layout import Observation, ObservationLayout, as_unit_range, full_observation_space
from trackmaster.nn.trunks import HIDDEN, action_width, convolutions, grid_places

STAGES = ((32, 8, 2), (64, 4, 2), (64, 3, 1))
LAYERS = 2

Hidden = tuple[Tensor, Tensor]
"""Short and long memory of the LSTM, (layers, B, 256) each."""


class CNNLSTMActor(nn.Module):
    """Each picture of the stack through the same convolutions, then two LSTM layers; the last step is read out.

    Args:
        observation_space: the seed's full observation when left out.
        action_space: of a critic.
        q_net: take an action in, beside the numbers.
        keys: entries of a ``Dict`` observation to use.
        first: numbers of every vector to use; all when left out.

    Raises:
        ShapeError: there is no picture, or it is too small.
    """

    def __init__(
        self,
        observation_space: gym.Space[Any] | None = None,
        action_space: gym.Space[Any] | None = None,
        *,
        q_net: bool = False,
        keys: Sequence[str] | None = None,
        first: int | None = None,
    ) -> None:
        super().__init__()
        self.layout = ObservationLayout(
            full_observation_space() if observation_space is None else observation_space, keys, first
        )
        _, rows, columns = self.layout.image_shape()
        conv1, conv2, conv3 = convolutions(self.layout.colours, STAGES)
        self.cnn = nn.Sequential(conv1, nn.ReLU(), conv2, nn.ReLU(), conv3, nn.ReLU())
        self.lstm = nn.LSTM(STAGES[-1][0] * grid_places(rows, columns, STAGES), HIDDEN, LAYERS, batch_first=True)
        self.head = nn.Linear(HIDDEN + self.layout.n_floats + action_width(action_space, q_net=q_net), HIDDEN)
        self.out_features = HIDDEN

    def initial_state(self, batch_size: int) -> Hidden:
        """Return the state at the start of an episode."""
        zeros = self.head.weight.new_zeros((LAYERS, batch_size, HIDDEN))
        return zeros, zeros.clone()

    def forward(
        self, observation: Observation, hidden: Hidden | None = None, action: Tensor | None = None
    ) -> tuple[Tensor, Hidden]:
        """Return features (B, 256) and the state after these pictures.

        Args:
            observation: tensors with a leading batch axis.
            hidden: state before them; zeros when left out.
            action: (B, A) for a critic.
        """
        _, image, _ = self.layout.split(observation)
        assert image is not None  # the constructor refuses observations without one
        pictures = as_unit_range(image)
        frames = pictures.reshape(len(pictures), -1, self.layout.colours, *pictures.shape[2:])
        batch, steps = frames.shape[:2]
        seen = self.cnn(frames.flatten(0, 1)).flatten(1).view(batch, steps, -1)
        remembered, state = self.lstm(seen, hidden)
        parts = [remembered[:, -1], self.layout.floats(observation)]
        features: Tensor = self.head(torch.cat(parts if action is None else [*parts, action], dim=1))
        return features, state


def pack_state(hidden: Hidden) -> Tensor:
    """Return the state as one row of numbers per sample, (B, 2 * layers * width): the form that a memory stores."""
    short, long = (part.transpose(0, 1).flatten(1) for part in hidden)
    return torch.cat((short, long), dim=1)


def unpack_state(rows: Tensor) -> Hidden:
    """Return what ``pack_state`` was given."""
    short, long = (part.view(-1, LAYERS, HIDDEN).transpose(0, 1).contiguous() for part in rows.chunk(2, dim=1))
    return short, long


STATE_SIZE: Final = 2 * LAYERS * HIDDEN
"""Numbers of one packed state."""
