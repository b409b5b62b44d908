"""What asyncio says about connections that break, which we say in sentences of our own."""

import logging

KNOWN = frozenset({"SSL connection is closed", "socket.send() raised exception."})
"""Once for every write to a connection that broke a moment ago; what had been received before is still answered."""


class _Unknown(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return record.msg not in KNOWN


_UNKNOWN = _Unknown()


def leave_out_known_warnings() -> None:
    """Keep asyncio from telling people what they are told anyway; a second time does nothing."""
    logging.getLogger("asyncio").addFilter(_UNKNOWN)
