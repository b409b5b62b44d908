"""The picture decoder of the reconstructing tasks, and the small heads beside it; none of them reaches the agent."""

from torch import Tensor, nn

from trackmaster.nn.encoder import LEAKY_SLOPE, ShapeError

SIDE_STEP_PX = 16
"""Four doublings: a decoded picture is always a multiple of this."""

_BASE_CHANNELS = 32
_HIDDEN = 256


class FrameDecoder(nn.Module):
    """Features back to pictures: linear layer to a small map, then four transposed convolutions.

    Source: the decoder of the published pre-training runs, generalised from squares to any multiple of 16.
    """

    def __init__(self, in_features: int, out_channels: int, height: int, width: int, *, bounded: bool = True) -> None:
        """Build the decoder.

        Args:
            in_features: features or latent numbers per picture.
            out_channels: pictures to draw, as channels.
            height: rows.
            width: columns.
            bounded: end in a sigmoid, for targets in [0, 1]; False leaves the output linear, for other ranges.

        Raises:
            ShapeError: a side is no multiple of 16.
        """
        super().__init__()
        require_decodable(height, width)
        rows, columns = height // SIDE_STEP_PX, width // SIDE_STEP_PX
        layers: list[nn.Module] = [
            nn.Linear(in_features, _BASE_CHANNELS * rows * columns),
            nn.LeakyReLU(LEAKY_SLOPE, inplace=True),
            nn.Unflatten(1, (_BASE_CHANNELS, rows, columns)),
            nn.ConvTranspose2d(32, 64, 3, stride=2, padding=1, output_padding=1),
            nn.LeakyReLU(LEAKY_SLOPE, inplace=True),
            nn.ConvTranspose2d(64, 32, 3, stride=2, padding=1, output_padding=1),
            nn.LeakyReLU(LEAKY_SLOPE, inplace=True),
            nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1),
            nn.LeakyReLU(LEAKY_SLOPE, inplace=True),
            nn.ConvTranspose2d(16, out_channels, 4, stride=2, padding=1),
        ]
        self.layers = nn.Sequential(*layers, nn.Sigmoid()) if bounded else nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        """Return pictures (B, out_channels, H, W) for features (B, in_features)."""
        pictures: Tensor = self.layers(features)
        return pictures


class GaussianHead(nn.Module):
    """Features to the mean and log variance of a latent normal distribution."""

    def __init__(self, in_features: int, latent: int) -> None:
        """Build the head for ``latent`` latent numbers."""
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(in_features, _HIDDEN), nn.LeakyReLU(LEAKY_SLOPE, inplace=True), nn.Linear(_HIDDEN, 2 * latent)
        )

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance, (B, latent) each."""
        mean, log_variance = self.layers(features).chunk(2, dim=1)
        return mean, log_variance


class ProjectionHead(nn.Module):
    """Features to the space in which contrastive learning compares views."""

    def __init__(self, in_features: int, out_features: int) -> None:
        """Build the head."""
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(in_features, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, out_features))

    def forward(self, features: Tensor) -> Tensor:
        """Return projections (B, out_features)."""
        projections: Tensor = self.layers(features)
        return projections


def require_decodable(height: int, width: int) -> None:
    """Check a picture size for the reconstructing tasks.

    Raises:
        ShapeError: a side is no multiple of 16.
    """
    if height % SIDE_STEP_PX or width % SIDE_STEP_PX or height < SIDE_STEP_PX or width < SIDE_STEP_PX:
        raise ShapeError(
            f"pictures of {width}x{height} cannot be reconstructed: both sides must be multiples of {SIDE_STEP_PX}, "
            "such as 64x64 or 160x128. Change w_downsized and h_downsized, or train with --task simclr."
        )
