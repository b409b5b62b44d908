"""Names of network kinds for configurations, which need no torch."""

from typing import Literal

NetworkKind = Literal["auto", "mlp", "cnn", "encoder", "vit", "cnn_lstm"]
TrunkActivation = Literal["relu", "tmrl"]
"""``tmrl`` has no activation after the last hidden layer, so that actors trained by tmrl load."""
