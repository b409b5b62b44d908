"""Memories, and the compressors that belong to them."""

from trackmaster.rl.memory.tm_memories import (
    GenericTorchMemory,
    MemoryTMFull,
    MemoryTMLidar,
    MemoryTMLidarProgress,
    get_local_buffer_sample_lidar,
    get_local_buffer_sample_lidar_progress,
    get_local_buffer_sample_tm20_imgs,
)
from trackmaster.rl.memory.torch_memory import TorchMemory
from trackmaster.rl.samples.pictures import with_jpeg

__all__ = [
    "GenericTorchMemory",
    "MemoryTMFull",
    "MemoryTMLidar",
    "MemoryTMLidarProgress",
    "TorchMemory",
    "get_local_buffer_sample_lidar",
    "get_local_buffer_sample_lidar_progress",
    "get_local_buffer_sample_tm20_imgs",
    "with_jpeg",
]
