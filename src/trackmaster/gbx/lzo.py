"""How large an LZO1X stream unpacks, found without unpacking it.

The format has no length field and no checksum, and the unpacker grows its output as the stream commands. A length of
an instruction is extended by 255 per zero byte, so a small hostile file could ask for gigabytes.

Source: the LZO stream format as described in the Linux kernel documentation (``staging/lzo``).
"""

BYTES_PER_ZERO = 255
BYTES_PER_BYTE = 72  # longest match without a zero byte: 288 bytes from an instruction of four
MOST_PER_BYTE = BYTES_PER_ZERO + BYTES_PER_BYTE


def worst_case_size(packed: bytes) -> int:
    """Return a bound on the unpacked size that needs one pass in C: no instruction yields more."""
    return BYTES_PER_ZERO * packed.count(0) + BYTES_PER_BYTE * len(packed)


def unpacked_size(packed: bytes, limit: int) -> int:
    """Return how many bytes the stream unpacks to, or a number above ``limit`` as soon as it is passed.

    Args:
        packed: an LZO1X stream.
        limit: counting stops above this many bytes.

    Returns:
        The size, or -1 if the stream breaks off or does not end with its end mark.
    """
    try:
        return _count(packed, limit)
    except IndexError:
        return -1


def _extend(packed: bytes, pos: int, base: int) -> tuple[int, int]:
    """Return (length, next position) of a length that continues behind the instruction byte."""
    length = base
    while packed[pos] == 0:
        length += BYTES_PER_ZERO
        pos += 1
    return length + packed[pos], pos + 1


def _count(packed: bytes, limit: int) -> int:
    pos, size = 0, 0
    literals = 0  # what the previous instruction copied: 0, 1 to 3, or 4 for a long run
    if packed[0] > 17:
        size = packed[0] - 17
        pos = 1 + size
        literals = min(size, 4)
    while size <= limit:
        code = packed[pos]
        pos += 1
        if code < 16:
            if literals == 0:
                length, pos = (code + 3, pos) if code else _extend(packed, pos, 18)
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
            length, pos = (short + 2, pos) if short else _extend(packed, pos, mask + 2)
            literals = packed[pos] & 3
            distance = (packed[pos] >> 2) + (packed[pos + 1] << 6) + ((code & 8) << 11 if code < 32 else 0)
            pos += 2
            if code < 32 and distance == 0:
                return size if pos == len(packed) else -1
        else:
            length = (code >> 5) + 1
            literals = code & 3
            pos += 1
        size += length + literals
        pos += literals
    return size
