"""Sizes beyond which a file is refused before anything is allocated.

Each stands far above what real files hold (the largest seen in the TMF era: body 3.1 MB, 6 824 blocks, 55 889 samples,
76 662 events, 986 nodes), and low enough that no file, however it was made, costs more than a few hundred megabytes.
"""

FILE_BYTES = 128 << 20
HEADER_BYTES = 16 << 20
HEADER_CHUNKS = 256
BODY_BYTES = 64 << 20
LZO_RATIO = 256
LZO_UNCHECKED_BYTES = 96 << 20
GHOST_BYTES = 32 << 20
ZLIB_RATIO = 1032
NODES = 100_000
IDS = 100_000
EVENTS = 5_000_000
STRING_BYTES = 16 << 20
DEPTH = 32
EXTERNAL_REFERENCES = 10_000
RECORDS = 400_000
"""Blocks, cells, checkpoint times and the like of one body together: each costs ten times its size in the file."""
DURATION_MS = 24 * 60 * 60 * 1000
"""Longest run on the 10 ms grid; the longest real one seen lasts an hour and a half."""
