"""How large an LZO1X stream unpacks, found without unpacking it.

The format has no length field and no checksum, and the unpacker grows its output as the stream commands. A length of
an instruction is extended by 255 per zero byte, so a small hostile file could ask for gigabytes.

Source: the LZO stream format as described in the Linux kernel documentation (``staging/lzo``).
"""

BYTES_PER_ZERO = 255
PER_LONG_MATCH = 288  # a match whose length continues in one byte that is not zero
PER_SHORT_BYTE = 11  # a match whose length does not continue: up to 33 bytes from an instruction of three
MOST_PER_BYTE = BYTES_PER_ZERO + PER_LONG_MATCH
CONTINUED = (0x10, 0x18, 0x20)  # the only instructions of a match whose length continues

BROKEN = -1
TOO_MANY_STEPS = -2


def worst_case_size(packed: bytes) -> int:
    """Return a bound on the unpacked size that needs a few passes in C: no instruction yields more."""
    long_matches = sum(packed.count(code) for code in CONTINUED)
    return BYTES_PER_ZERO * packed.count(0) + PER_LONG_MATCH * long_matches + PER_SHORT_BYTE * len(packed)


def unpacked_size(packed: bytes, limit: int, max_steps: int) -> int:
    """Return how many bytes the stream unpacks to, or a number above ``limit`` as soon as it is passed.

    Args:
        packed: an LZO1X stream.
        limit: counting stops above this many bytes.
        max_steps: counting stops after this many instructions.

    Returns:
        The size; ``BROKEN`` if the stream breaks off or does not end with its end mark, or ``TOO_MANY_STEPS``.
    """
    try:
        return _count(packed, limit, max_steps)
    except IndexError:
        return BROKEN


def _extend(packed: bytes, pos: int, base: int, limit: int) -> tuple[int, int]:
    """Return (length, next position) of a length that continues behind the instruction byte."""
    length = base
    while packed[pos] == 0 and length <= limit:
        length += BYTES_PER_ZERO
        pos += 1
    return length + packed[pos], pos + 1


def _count(packed: bytes, limit: int, max_steps: int) -> int:
    pos, size = 0, 0
    literals = 0  # what the previous instruction copied: 0, 1 to 3, or 4 for a long run
    if packed[0] > 17:
        size = packed[0] - 17
        pos = 1 + size
        literals = min(size, 4)
    for _ in range(max_steps):
        if size > limit:
            return size
        code = packed[pos]
        pos += 1
        if code < 16:
            if literals == 0:
                length, pos = (code + 3, pos) if code else _extend(packed, pos, 18, limit)
                pos += length
                size += length
                literals = 4
                continue
            length = 3 if literals == 4 else 2
            pos += 1
            literals = code & 3
        elif code < 64:
            mask = 7 if code < 32 else 31
            short = code & mask
            length, pos = (short + 2, pos) if short else _extend(packed, pos, mask + 2, limit)
            literals = packed[pos] & 3
            distance = (packed[pos] >> 2) + (packed[pos + 1] << 6) + ((code & 8) << 11 if code < 32 else 0)
            pos += 2
            if code < 32 and distance == 0:
                return size if pos == len(packed) else BROKEN
        else:
            length = (code >> 5) + 1
            literals = code & 3
            pos += 1
        size += length + literals
        pos += literals
    return TOO_MANY_STEPS
