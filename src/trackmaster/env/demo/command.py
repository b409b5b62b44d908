"""``trackmaster record reward``: drive a track once, and keep the way as demonstration for the reward."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from trackmaster.config import Settings
from trackmaster.env.demo.files import record_demo, records_of, save_demo
from trackmaster.game.openplanet.client import LOCALHOST, OpenPlanetClient
from trackmaster.game.openplanet.layouts import DEFAULT_PORT


class RecordRewardConfig(Settings):
    """Record the drive that rewards are measured against, from TrackMania 2020's telemetry."""

    model_config = SettingsConfigDict(env_prefix="RECORD_REWARD_")

    output: Path = Path("TmrlData/reward/reward.npy")
    """Points 0.1 m apart, with a .json beside them."""
    host: str = LOCALHOST
    """Where the game runs."""
    port: int = Field(default=DEFAULT_PORT, ge=1, le=65_535)
    """Of the telemetry plugin."""
    layout: str = "tmrl"
    """Of its records."""
    timeout_s: float = Field(default=120.0, gt=0)
    """Longest wait for the next record."""


def run_record_reward(config: RecordRewardConfig) -> int:
    """Record until the finish, then write the files.

    Raises:
        TrackmasterError: nobody sends telemetry, or the stream is something else.
    """
    print("drive the track from the start to the finish; restart as often as you like", flush=True)
    with OpenPlanetClient(config.host, config.port, layout=config.layout) as client:
        points, last = record_demo(records_of(client, timeout_s=config.timeout_s), note=print)
    save_demo(config.output, points, map_uid=last.map_uid, race_time_ms=last.race_time_ms)
    print(f"{config.output}: {len(points)} points, {0.1 * (len(points) - 1):.0f} m")
    return 0
