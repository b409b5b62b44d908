"""The verb ``server``."""

from collections.abc import Callable, Mapping

from trackmaster.distributed.relay.config import DEFAULT_PORT, ServerConfig
from trackmaster.distributed.relay.core import CoreOptions
from trackmaster.distributed.relay.server import RelayOptions, RelayServer
from trackmaster.distributed.security.join_string import own_address
from trackmaster.distributed.security.server_keys import ServerKeys, default_folder
from trackmaster.errors import ConfigError

ROLE_HINTS = {
    "worker": "on every PC that drives",
    "trainer": "on the PC that learns",
    "observer": "for whoever only looks on",
}


def run_server(config: ServerConfig) -> None:
    """Look after keys, or relay until Ctrl+C.

    Raises:
        ConfigError: settings that exclude each other, keys that are missing, an address that is taken or unsafe.
    """
    keys = ServerKeys(config.keys or default_folder())
    port = config.port or DEFAULT_PORT
    jobs: dict[str, Callable[[], None]] = {
        "init": lambda: _show(keys.create(config.address or own_address(), port, replace=config.replace)),
        "show_join": lambda: _show(keys.joins(host=config.address, port=port if _said_port(config) else None)),
        "add_worker": lambda: _add_worker(keys, str(config.add_worker)),
        "revoke": lambda: _revoke(keys, str(config.revoke)),
        "evict": lambda: _evict(keys, str(config.evict)),
        "admit": lambda: _admit(keys, str(config.admit)),
    }
    asked = [name for name in jobs if getattr(config, name)]
    if len(asked) > 1:
        flags = " and ".join(f"--{name.replace('_', '-')}" for name in asked)
        raise ConfigError(f"{flags} are different jobs; give one of them at a time.")
    if config.replace and "init" not in asked:
        raise ConfigError("--replace belongs to --init: it gives up the keys that are there.")
    if asked:
        jobs[asked[0]]()
    else:
        serve(config)


def serve(config: ServerConfig) -> None:
    """Relay until Ctrl+C and say how much was relayed."""
    server = RelayServer(options_of(config))
    server.start()
    kind = "TLS 1.3" if config.security else "plain text"
    print(f"The server listens on port {server.port} ({kind}); Ctrl+C ends it.", flush=True)
    if config.security and config.password is None:
        print("Join strings for the others: trackmaster server --show-join", flush=True)
    numbers: dict[str, float] = {}
    try:
        server.run(on_tick=lambda: numbers.update(server.numbers()))
    except KeyboardInterrupt:
        pass  # the way in which a server ends
    finally:
        server.close()
        if numbers:
            print(
                f"{numbers['chunks']:.0f} chunks with {numbers['rows']:.0f} rows came, {numbers['delivered']:.0f} went "
                f"to the trainer, {numbers['queue_chunks']:.0f} waited at the end."
            )


def options_of(config: ServerConfig) -> RelayOptions:
    """Return the options of the relay in the settings of the verb."""
    return RelayOptions(
        security=config.security,
        password=config.password.get_secret_value() if config.password is not None else None,
        host=config.host,
        port=config.port,
        allow_insecure=config.allow_insecure,
        keys=config.keys,
        durable=config.durable,
        max_connections=config.max_connections,
        core=CoreOptions(max_workers=config.max_workers, max_queue_bytes=config.max_queue_mb * 2**20),
    )


def _said_port(config: ServerConfig) -> bool:
    return "port" in config.model_fields_set and bool(config.port)


def _show(joins: Mapping[str, str]) -> None:
    for name, join in joins.items():
        role = name.split("-")[0]
        print(f"{name} ({ROLE_HINTS.get(role, 'on one more PC that drives')}):\n  {join}")
    print("Whoever has one of these strings can do what its role may do: send them where nobody else reads along.")


def _add_worker(keys: ServerKeys, name: str) -> None:
    added = keys.add("worker", name)
    _show({added: keys.joins()[added]})


def _revoke(keys: ServerKeys, name: str) -> None:
    keys.revoke(name)
    print(f"The token {name} opens nothing any more; a running server lets its client go within seconds.")


def _evict(keys: ServerKeys, name: str) -> None:
    keys.revoke(name, evict=True)
    print(
        f"The token {name} opens nothing any more; a running server lets its client go within seconds, and its trainer "
        f"forgets what came with it since the server began. trackmaster server --admit {name} lets it in again."
    )


def _admit(keys: ServerKeys, name: str) -> None:
    keys.admit(name)
    print(f"The token {name} opens the server again.")
