"""Who gets in and who does not: keys, tokens, join strings, passwords, and the refusal of plain text."""

import contextlib
import functools
import hmac
import ssl
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.distributed.net_kit import chunk, receive, relay, trainer_end, until, worker_end

from trackmaster.cli import main
from trackmaster.distributed.relay.server import RelayOptions, RelayServer
from trackmaster.distributed.security import tokens as tokens_module
from trackmaster.distributed.security.certificate import client_context, fingerprint_of_pem, make_certificate
from trackmaster.distributed.security.gate import BackOff, ConnectionCap
from trackmaster.distributed.security.join_string import DEFAULT_PORT, ServerAddress, format_join, parse_join
from trackmaster.distributed.security.known_servers import KnownServers
from trackmaster.distributed.security.server_keys import ServerKeys
from trackmaster.distributed.security.tokens import TokenStore, check_password, new_token, password_token
from trackmaster.distributed.transport.contract import TransportError
from trackmaster.errors import ConfigError

GOOD_PASSWORD = "seven green kettles"
needs_modes = pytest.mark.skipif(
    not hasattr(stat, "S_IRUSR") or __import__("os").name == "nt", reason="no file modes here"
)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKMASTER_HOME", str(tmp_path / "home"))


def test_the_certificate_has_what_strict_clients_ask_for() -> None:
    pem, key = make_certificate(["game-pc.example", "192.0.2.7"])
    found = x509.load_pem_x509_certificate(pem)
    public = found.public_key()
    assert public.curve.name == "secp256r1"  # type: ignore[union-attr]
    assert b"PRIVATE KEY" in key
    extensions = {e.value.__class__.__name__: e for e in found.extensions}
    basic, usage = extensions["BasicConstraints"], extensions["KeyUsage"]
    assert basic.critical
    assert (basic.value.ca, basic.value.path_length) == (True, 0)  # type: ignore[attr-defined]
    assert usage.critical
    assert usage.value.digital_signature  # type: ignore[attr-defined]
    assert usage.value.key_cert_sign  # type: ignore[attr-defined]
    assert list(extensions["ExtendedKeyUsage"].value) == [ExtendedKeyUsageOID.SERVER_AUTH]  # type: ignore[call-overload]
    names = extensions["SubjectAlternativeName"].value
    assert {"trackmaster", "localhost", "game-pc.example"} <= set(names.get_values_for_type(x509.DNSName))  # type: ignore[attr-defined]
    assert "192.0.2.7" in map(str, names.get_values_for_type(x509.IPAddress))  # type: ignore[attr-defined]
    own, issuer = extensions["SubjectKeyIdentifier"].value, extensions["AuthorityKeyIdentifier"].value
    assert own.digest == issuer.key_identifier  # type: ignore[attr-defined]


def test_a_client_that_checks_strictly_accepts_the_pinned_certificate_and_no_other(tmp_path: Path) -> None:
    contexts = []
    for name in ("one", "other"):
        pem, key = make_certificate()
        (tmp_path / f"{name}.pem").write_bytes(pem)
        (tmp_path / f"{name}.key").write_bytes(key)
        context = client_context(ssl.PEM_cert_to_DER_cert(pem.decode()))
        context.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
        contexts.append(context)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "one.pem", tmp_path / "one.key")
    shake(server, contexts[0])
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(server, contexts[1])


def shake(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    """A TLS handshake in memory."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(back, there, server_hostname="trackmaster"),
        server.wrap_bio(there, back, server_side=True),
    ]
    for _ in range(4):
        for side in sides:
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    assert sides[0].version() == "TLSv1.3"


def test_init_show_join_add_and_revoke_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["server", "--init", "--address", "192.0.2.7"]) == 0
    first = capsys.readouterr().out
    joins = [line.strip() for line in first.splitlines() if line.startswith("  tmjoin://")]
    assert len(joins) == 3
    assert all(parse_join(j).host == "192.0.2.7" and parse_join(j).port == 6666 for j in joins)
    assert len({parse_join(j).token for j in joins}) == 3
    assert main(["server", "--show-join"]) == 0
    assert capsys.readouterr().out == first
    assert main(["server", "--init"]) == 1
    assert "holds a server already" in capsys.readouterr().err
    assert main(["server", "--add-worker", "bob"]) == 0
    assert "bob" in capsys.readouterr().out
    assert main(["server", "--revoke", "worker-1"]) == 0
    capsys.readouterr()
    assert main(["server", "--show-join", "--address", "tracks.example", "--port", "443"]) == 0
    shown = capsys.readouterr().out
    assert "worker-1" not in shown
    assert shown.count("tmjoin://tracks.example:443/") == 3
    assert main(["server", "--revoke", "carol"]) == 1
    assert "no token called carol. Known: worker-1, trainer-1, observer-1, bob" in capsys.readouterr().err
    assert main(["server", "--init", "--show-join"]) == 1
    assert "--init and --show-join are different jobs" in capsys.readouterr().err
    assert main(["server", "--init", "--replace"]) == 0
    assert parse_join(joins[0]).fingerprint not in capsys.readouterr().out


def test_show_join_names_the_port_that_the_server_listens_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def shown() -> set[int]:
        assert main(["server", "--show-join", "--keys", str(keys)]) == 0
        return {parse_join(w).port for w in capsys.readouterr().out.split() if w.startswith("tmjoin://")}

    keys = tmp_path / "keys"
    assert main(["server", "--init", "--address", "192.0.2.7", "--keys", str(keys)]) == 0
    assert shown() == {DEFAULT_PORT}
    with RelayServer(RelayOptions(keys=keys, host="127.0.0.1", port=0), say=lambda _: None) as server:
        assert shown() == {server.port} != {DEFAULT_PORT}
    assert shown() == {server.port}, "it will listen there again"
    ServerKeys(keys).note_port(DEFAULT_PORT)
    assert shown() == {DEFAULT_PORT}
    (keys / "join.json").write_text("damaged")
    RelayServer(RelayOptions(keys=keys, host="127.0.0.1", port=0), say=lambda _: None).start().close()


def test_tokens_are_stored_as_hashes_and_join_strings_can_be_deleted(tmp_path: Path) -> None:
    keys = ServerKeys(tmp_path / "keys")
    joins = keys.create("127.0.0.1", 6666)
    text = (tmp_path / "keys" / "tokens.json").read_text()
    for join in joins.values():
        token = parse_join(join).token
        assert token is not None
        assert token not in text
    (tmp_path / "keys" / "join.json").unlink()
    assert [e.id for e in keys.tokens().entries] == ["worker-1", "trainer-1", "observer-1"]
    with pytest.raises(ConfigError, match="cannot be shown again"):
        keys.joins()


@needs_modes
def test_keys_and_tokens_are_for_their_owner_alone(tmp_path: Path) -> None:
    keys = ServerKeys(tmp_path / "keys")
    keys.create("127.0.0.1", 6666)
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys.folder.iterdir()} == {0o600}
    assert stat.S_IMODE(keys.folder.stat().st_mode) == 0o700


def test_every_stored_hash_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    store, compared = TokenStore(), []
    tokens = [new_token() for _ in range(5)]
    for token in tokens:
        store.add("worker", token)
    original = hmac.compare_digest
    monkeypatch.setattr(
        tokens_module.hmac, "compare_digest", lambda a, b: compared.append((len(a), len(b))) or original(a, b)
    )
    for token in ("", "wrong", tokens[0], tokens[4], "\udcff" * 3, "x" * 100_000):
        compared.clear()
        found = store.identify(token)
        assert compared == [(64, 64)] * 5, "the time says neither which token nor how much of it is right"
        assert (found is not None) == (token in tokens)


@pytest.mark.parametrize("text", [
    "", "tmjoin://", "http://host/#t=x", "tmjoin://host:6666/", "tmjoin://host:6666/#", "tmjoin://host:99999/#t=x",
    "tmjoin://host:6666/#fp=00&t=x", "tmjoin://host/#fp=" + "g" * 64 + "&t=x", "tmjoin:///#t=x", "tmjoin://[::1/#t=x",
    "tmjoin://host:6666/#t", "host:6666",
])  # fmt: skip
def test_what_is_no_join_string_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ConfigError, match="join string") as refused:
        parse_join(text)
    assert "--show-join" in str(refused.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "tracks.example"])
def test_join_strings_come_back_as_they_were(host: str) -> None:
    address = ServerAddress(host, 443, fingerprint="ab" * 32, token="A-_z/+=&#")
    assert parse_join(format_join(address)) == address
    assert "A-_z" not in repr(address)


def test_plain_text_is_refused_off_loopback_on_both_sides(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="ALLOW_INSECURE"):
        ServerAddress("192.0.2.7", tls=False, token="t")
    with pytest.raises(ConfigError, match="plain text"):
        parse_join("tmjoin://192.0.2.7:6666/#t=x")
    assert not parse_join("tmjoin://192.0.2.7:6666/#t=x", allow_insecure=True).tls
    for host in ("0.0.0.0", "::", "192.0.2.7", "game-pc"):
        with pytest.raises(ConfigError, match="ALLOW_INSECURE"):
            RelayServer(RelayOptions(security=None, host=host, password=GOOD_PASSWORD))
    said: list[str] = []
    RelayServer(
        RelayOptions(security=None, host="0.0.0.0", password=GOOD_PASSWORD, allow_insecure=True), say=said.append
    )
    assert "Warning" in said[0]
    assert main(["server", "--security", "null", "--host", "0.0.0.0"]) == 1
    assert "SECURITY is null" in capsys.readouterr().err


@pytest.mark.parametrize(("password", "why"), [
    ("trackmaster_secure_pwd", "public documents"), ("YourRandomPasswordHere", "public documents"),
    ("secure_password", "public documents"), ("short", "5 characters"), ("aaaaaaaaaaaaaaaa", "first that anybody"),
    ("123456789012345", "first that anybody"), ("TrackMania2020!!", "first that anybody"),
])  # fmt: skip
def test_weak_passwords_are_refused_off_loopback_only(tmp_path: Path, password: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        check_password(password)
    with pytest.raises(ConfigError, match=why):
        RelayServer(RelayOptions(password=password, keys=tmp_path / "k"), say=lambda line: None)
    RelayServer(RelayOptions(security=None, password=password))
    check_password(GOOD_PASSWORD)


def test_a_password_means_another_token_for_every_server_and_role() -> None:
    words, roles, pins = (GOOD_PASSWORD, GOOD_PASSWORD + "!"), ("worker", "trainer"), ("00" * 32, "11" * 32)
    tokens = {password_token(word, role, pin) for word in words for role in roles for pin in pins}
    assert len(tokens) == 8


def test_a_password_lets_in_and_pins_the_first_certificate(tmp_path: Path) -> None:
    said: list[str] = []
    with relay(tmp_path, tls=True, password=GOOD_PASSWORD) as server:
        where = ServerAddress("127.0.0.1", server.port, password=GOOD_PASSWORD)
        with trainer_end(where, say=said.append) as trainer:
            trainer.wait_connected(60)
            with worker_end(where) as worker:
                worker.send_chunk(chunk(0))
                assert len(receive(trainer, 1)) == 1
        assert "First connection" in said[0]
        with worker_end(where, say=said.append) as worker:
            worker.wait_connected(60)
        assert sum("First connection" in line for line in said) == 1
        wrong = ServerAddress("127.0.0.1", server.port, password="another word")
        with pytest.raises(TransportError, match="does not accept this password"):
            worker_end(wrong).wait_connected(60)
        port = server.port
    impostor = relay(tmp_path / "impostor", tls=True, password=GOOD_PASSWORD, port=port)
    with impostor, pytest.raises(TransportError, match="shows another certificate"):
        worker_end(where).wait_connected(60)


def test_a_changed_certificate_stops_before_a_token_is_shown(tmp_path: Path) -> None:
    with relay(tmp_path, tls=True) as server:
        where, port = server.address("worker"), server.port
    with relay(tmp_path / "impostor", tls=True, port=port) as impostor:
        with pytest.raises(TransportError, match=r"another certificate.*--show-join"):
            worker_end(where).wait_connected(60)
        assert impostor.numbers()["refused_tokens"] == 0


def test_damaged_files_of_the_server_and_of_known_servers_stop_with_a_sentence(tmp_path: Path) -> None:
    keys = ServerKeys(tmp_path / "keys")
    keys.create("127.0.0.1", 6666)
    (keys.folder / "tokens.json").write_text('{"tokens": [{"id": 1}]}')
    with pytest.raises(ConfigError, match="no file of tokens"):
        RelayServer(RelayOptions(keys=keys.folder, host="127.0.0.1"))
    (keys.folder / "key.pem").write_text("nothing")
    (keys.folder / "tokens.json").write_text('{"version": 1, "tokens": []}')
    with pytest.raises(TransportError, match="--init"):
        RelayServer(RelayOptions(keys=keys.folder, host="127.0.0.1", port=0)).start()
    known = KnownServers(tmp_path / "known.json")
    (tmp_path / "known.json").write_text("[1]")
    with pytest.raises(ConfigError, match="repair or delete"):
        known.pin("host:1", "ab", print)


def test_revoking_lets_a_connected_client_go_and_nobody_else(tmp_path: Path) -> None:
    keys = ServerKeys(tmp_path / "keys")
    keys.create("127.0.0.1", 6666)
    keys.add("worker", "bob")
    with relay(tmp_path, tls=True) as server:
        joins = keys.joins(host="127.0.0.1", port=server.port)
        with trainer_end(server) as trainer, worker_end(server) as honest, worker_end(parse_join(joins["bob"])) as bob:
            bob.wait_connected(60)
            honest.wait_connected(60)
            keys.revoke("bob")
            with pytest.raises(TransportError, match=r"revoked|does not accept"):
                until(lambda: bob.poll_weights(-1) is not None, "the revoked worker's end")
            honest.send_chunk(chunk(0))
            assert len(receive(trainer, 1)) == 1


def test_addresses_wait_longer_after_every_wrong_token() -> None:
    now = [0.0]
    gate = BackOff(lambda: now[0])
    waits: list[Any] = []
    for _ in range(10):
        gate.failed("192.0.2.1")
        waits.append(gate.wait_s("192.0.2.1"))
    assert waits == [0, 0, 0, 1, 2, 4, 8, 16, 30, 30]
    assert gate.wait_s("192.0.2.2") == 0
    now[0] += 30
    assert gate.wait_s("192.0.2.1") == 0
    gate.succeeded("192.0.2.1")
    gate.failed("192.0.2.1")
    assert gate.wait_s("192.0.2.1") == 0
    for i in range(10_000):
        gate.failed(str(i))
    assert len(gate._failures) <= 4096


def test_connections_are_counted_in_total_and_by_address() -> None:
    cap = ConnectionCap(3, 2)
    assert [cap.enter("a"), cap.enter("a"), cap.enter("a"), cap.enter("b"), cap.enter("c")] == [
        True,
        True,
        False,
        True,
        False,
    ]
    cap.leave("a")
    assert cap.enter("c")
    assert (len(cap), cap.refused) == (3, 2)


def test_fingerprints_of_a_certificate_agree() -> None:
    pem, _ = make_certificate()
    assert fingerprint_of_pem(pem) == x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256()).hex()


def test_keys_that_a_server_makes_by_itself_name_an_address_that_others_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trackmaster.distributed.relay.server.own_address", lambda: "192.0.2.7")
    for host, named in ((None, "192.0.2.7"), ("127.0.0.1", "127.0.0.1")):
        keys = tmp_path / named
        RelayServer(RelayOptions(host=host, port=7000, keys=keys), say=lambda _: None)
        joins = ServerKeys(keys).joins()
        assert len(joins) == 3
        assert all(join.startswith(f"tmjoin://{named}:7000/#") for join in joins.values())


@pytest.mark.parametrize("content", [
    "[]", "7", "{}", '{"host": "a", "port": 6666, "tokens": []}', '{"host": "a", "port": "6666", "tokens": {}}',
    '{"host": 1, "port": 6666, "tokens": {}}', '{"host": "a", "port": 6666, "listened": 0, "tokens": {}}',
    '{"host": "a", "port": 6666, "tokens": {"worker-1": 5}}', "[" * 100_000,
])  # fmt: skip
def test_a_file_of_join_strings_of_another_shape_is_told(tmp_path: Path, content: str) -> None:
    keys = ServerKeys(tmp_path / "keys")
    keys.create("127.0.0.1", 6666)
    (keys.folder / "join.json").write_text(content)
    for use in (keys.joins, functools.partial(keys.add, "worker", "bob")):
        with pytest.raises(ConfigError, match="gone or damaged"):
            use()
    keys.note_port(7000)  # a server serves as well
    assert (keys.folder / "join.json").read_text() == content
