"""Where a server is and what opens it: the join string, or address and password."""

import ipaddress
import socket
from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote, urlsplit

from trackmaster.errors import ConfigError

SCHEME = "tmjoin"
DEFAULT_PORT = 6666
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class ServerAddress:
    """A server as its clients know it.

    ``tls`` False is plain text. A fingerprint pins the certificate; without one the first connection pins it.
    """

    host: str
    port: int = DEFAULT_PORT
    tls: bool = True
    fingerprint: str | None = None
    token: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    allow_insecure: bool = False

    def __post_init__(self) -> None:
        if (self.token is None) == (self.password is None):
            raise ConfigError("A server needs either a join string with its token or a password, and not both.")
        if not self.tls and not is_loopback(self.host) and not self.allow_insecure:
            raise ConfigError(
                f"{self.host}:{self.port} would be spoken to in plain text: whoever listens on the way could read and "
                "change everything. Use the join string of 'trackmaster server --init' (TLS), or set ALLOW_INSECURE to "
                "true in a network that is yours alone."
            )

    @property
    def place(self) -> str:
        """Host and port for sentences."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def format_join(address: ServerAddress) -> str:
    """Return the join string of an address that has a token."""
    if address.token is None:
        raise ConfigError("Only a token can stand in a join string, a password cannot.")
    pin = f"fp={address.fingerprint}&" if address.fingerprint else ""
    return f"{SCHEME}://{address.place}/#{pin}t={quote(address.token)}"


def parse_join(text: str, *, allow_insecure: bool = False) -> ServerAddress:
    """Return the address in a join string ``tmjoin://host:port/#fp=<sha256 of the certificate>&t=<token>``.

    Raises:
        ConfigError: it is cut short or something else; the text does not repeat the token.
    """
    expected = f"expected {SCHEME}://host:port/#fp=...&t=... as 'trackmaster server --show-join' prints it, in quotes"
    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname, parts.port or DEFAULT_PORT
        fields = parse_qs(parts.fragment, strict_parsing=True) if parts.fragment else {}
    except ValueError:
        raise ConfigError(f"This is no join string; {expected}.") from None
    if parts.scheme != SCHEME or not host:
        raise ConfigError(f"This is no join string; {expected}.")
    token, pin = fields.get("t", [""])[0], fields.get("fp", [""])[0].lower()
    if not token:
        raise ConfigError(f"The join string has no token, a shell may have cut it at the #; {expected}.")
    if pin and (len(pin) != 64 or set(pin) - set("0123456789abcdef")):
        raise ConfigError(f"The fingerprint in the join string is no SHA-256; {expected}.")
    return ServerAddress(host, port, tls=bool(pin), fingerprint=pin or None, token=token, allow_insecure=allow_insecure)


def is_loopback(host: str) -> bool:
    """Return whether an address never leaves this machine; an empty one means every address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def own_address() -> str:
    """Return the address by which other machines of this network most likely reach this one; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address of documentation; connecting a datagram socket sends nothing
            return str(probe.getsockname()[0])
        except OSError:
            return LOOPBACK
