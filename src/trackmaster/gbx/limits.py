"""Sizes beyond which a file is refused before anything is allocated.

Each stands far above what real files hold (the largest seen in the TMF era: body 3.1 MB, 6 824 blocks, 55 889 samples,
76 662 events, 986 nodes, 1 000 chunks, texts of 10 kB), and low enough that no file, however it was made, costs more
than 2 s or 512 MB, even if it goes to all limits at once. ``budget.py`` counts those that hold for a file and its
embedded map together.
"""

FILE_BYTES = 128 << 20
HEADER_BYTES = 16 << 20
HEADER_CHUNKS = 256
XML_BYTES = 1 << 20
BODY_BYTES = 64 << 20
LZO_RATIO = 256
LZO_UNCHECKED_BYTES = 96 << 20
LZO_INSTRUCTIONS = 500_000
"""Steps of a packed stream that is looked through before it is unpacked; each takes Python half a microsecond."""
GHOST_BYTES = 16 << 20
ZLIB_RATIO = 1032
RECORDINGS = 1_000
"""Blobs of samples and lists of events of a file together: each costs a dozen arrays, however short it is."""
NODES = 100_000
CHUNKS = 100_000
IDS = 100_000
TRACED = 250_000
"""Ids and node references of a map whose clips are taken out: each is remembered with its place."""
EVENTS = 300_000
"""Input events of a file together.

Other readers allow ten million. A timeline is built from them one by one at 4 microseconds each, so as many would take
most of a minute; 300 000 are six hours of the densest real run seen (76 662 events in 93 minutes on a pad).
"""
TEXT_BYTES = 16 << 20
"""Texts of a file together: one character beyond the usual ones makes Python store all of a text four bytes wide."""
DEPTH = 32
EXTERNAL_REFERENCES = 10_000
RECORDS = 200_000
"""Blocks, cells, checkpoint times and the like of a file together: each costs ten times its size in the file."""
DURATION_MS = 24 * 60 * 60 * 1000
"""Longest run on the 10 ms grid; the longest real one seen lasts an hour and a half."""
