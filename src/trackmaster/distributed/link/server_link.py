"""From the seed's arguments (server_ip, server_port, password, security) to an end of the network link."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from gymnasium import spaces

from trackmaster.distributed.link.trainer_end import WebSocketTrainerEnd
from trackmaster.distributed.link.worker_end import WebSocketWorkerEnd
from trackmaster.distributed.security.join_string import DEFAULT_PORT, LOOPBACK, SCHEME, ServerAddress, parse_join
from trackmaster.distributed.wire.link_spec import describe
from trackmaster.errors import ConfigError
from trackmaster.rl.samples.chunk import SampleSpec

MakeColumns = Callable[[Any, Any], SampleSpec]
"""Makes the columns of the samples from the observation and the action space."""
Acknowledge = Literal["received", "saved"]
"""When a durable server may let workers forget what a trainer was given."""
LOG = logging.getLogger(__name__)
TLS = "TLS"


@dataclass(frozen=True)
class ServerLink:
    """Where the server is and what opens it.

    ``server_ip`` is an address, a name, or the whole join string that ``trackmaster server --show-join`` prints.
    """

    server_ip: str | None = None
    server_port: int = DEFAULT_PORT
    password: str | None = field(default=None, repr=False)
    security: str | None = None
    allow_insecure: bool = False
    run_name: str = ""

    def address(self) -> ServerAddress:
        """Return the address for the link.

        Raises:
            ConfigError: neither a join string nor a password, or plain text off this machine.
        """
        if self.server_ip is not None and self.server_ip.startswith(f"{SCHEME}:"):
            return parse_join(self.server_ip, allow_insecure=self.allow_insecure)
        if self.security not in (None, TLS):
            raise ConfigError(f'security is {self.security!r}, expected None (this machine only) or "TLS".')
        if not self.password:
            raise ConfigError(
                "The server asks for a password (PASSWORD), or give the join string of 'trackmaster server "
                "--show-join' as server_ip (PUBLIC_IP_SERVER)."
            )
        return ServerAddress(
            self.server_ip or LOOPBACK, self.server_port, tls=self.security == TLS, password=self.password,
            allow_insecure=self.allow_insecure,
        )  # fmt: skip

    def worker_end(
        self, observation_space: Any, action_space: Any, *, columns: MakeColumns | None = None, drops: bool = False,
        say: Callable[[str], None] = print,
    ) -> WebSocketWorkerEnd:  # fmt: skip
        """Return a worker's end; with ``drops`` a full outbox gives up whole episodes instead of waiting."""
        made = columns(observation_space, action_space) if columns is not None else {}
        return WebSocketWorkerEnd(
            self.address(), spec=describe_spaces(observation_space, action_space, made), run_name=self.run_name,
            on_full="drop" if drops else "block", say=say,
        )  # fmt: skip

    def trainer_end(
        self, observation_space: Any, action_space: Any, *, columns: MakeColumns | None = None,
        marks: dict[str, int] | None = None, acknowledge: Acknowledge = "saved", say: Callable[[str], None] = print,
    ) -> WebSocketTrainerEnd:  # fmt: skip
        """Return the trainer's end; the workers go on when it closes and wait for the next one."""
        made = columns(observation_space, action_space) if columns is not None else {}
        return WebSocketTrainerEnd(
            self.address(), made or None, spec=describe_spaces(observation_space, action_space, made),
            run_name=self.run_name, acknowledge=acknowledge, marks=marks, stop_workers=False, say=say,
        )  # fmt: skip


def describe_spaces(observation_space: Any, action_space: Any, columns: SampleSpec) -> bytes:
    """Return what both sides of a link must agree on; the columns only if both sides name some."""
    return describe(columns, observation_space=space_text(observation_space), action_space=space_text(action_space))


def space_text(space: Any) -> str:
    """Return a space in one line, the same on every machine."""
    if isinstance(space, spaces.Box):
        return f"Box({space.low.min():g}, {space.high.max():g}, {space.shape}, {space.dtype})"
    if isinstance(space, spaces.Tuple):
        return f"Tuple({', '.join(map(space_text, space.spaces))})"
    if isinstance(space, spaces.Dict):
        return f"Dict({', '.join(f'{key}: {space_text(part)}' for key, part in space.spaces.items())})"
    return str(space)


IGNORED = ("local_port", "local_com_port", "header_size", "keys_dir", "hostname", "max_buf_len")
"""Arguments of tmrl that mean nothing here: there is one port, no helper process, and a pinned certificate."""


def say_ignored(**arguments: Any) -> None:
    """Log the arguments that the seed's transport needed and ours does not.

    Raises:
        TypeError: there is no such argument at all.
    """
    for name, value in arguments.items():
        if name not in IGNORED:
            raise TypeError(f"unexpected argument {name!r}")
        if value is not None:
            LOG.info("%s is accepted and not needed: there is one port and no helper process.", name)
