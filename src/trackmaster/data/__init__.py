"""The data set on disk: captured trees, windows of frames, splits by map, caches and batches."""

from trackmaster.capture.plan import frame_name
from trackmaster.data.cache import CachedFrames, CacheSpec, FrameCache, open_cache, stale_reason
from trackmaster.data.cache_build import ensure_cache
from trackmaster.data.errors import DataError
from trackmaster.data.images import fit_gray, load_gray
from trackmaster.data.loader import BatchLoader
from trackmaster.data.manifest import FrameEntry, Manifest, ReplayMetadata, read_manifest, read_metadata
from trackmaster.data.names import FrameName, natural_key, parse_frame_name, replay_key
from trackmaster.data.signature import SourceSignature, source_signature
from trackmaster.data.source import FrameSource, ReplayFrameDataset
from trackmaster.data.split import Split, split_by_map
from trackmaster.data.tree import ReplayFolder, find_replays, iter_replays

__all__ = [
    "BatchLoader",
    "CacheSpec",
    "CachedFrames",
    "DataError",
    "FrameCache",
    "FrameEntry",
    "FrameName",
    "FrameSource",
    "Manifest",
    "ReplayFolder",
    "ReplayFrameDataset",
    "ReplayMetadata",
    "SourceSignature",
    "Split",
    "ensure_cache",
    "find_replays",
    "fit_gray",
    "frame_name",
    "iter_replays",
    "load_gray",
    "natural_key",
    "open_cache",
    "parse_frame_name",
    "read_manifest",
    "read_metadata",
    "replay_key",
    "source_signature",
    "split_by_map",
    "stale_reason",
]
