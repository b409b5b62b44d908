"""TLS with one self-signed certificate that clients know by its hash: no authority, no names, nothing to renew yearly.

A client fetches the certificate, compares its SHA-256 with the one in the join string, and only then connects with
exactly that certificate as the one trust anchor. Standard ``ssl`` of Python 3.11 to 3.13 accepts it, the last with its
strict checks of key identifiers and basic constraints.
"""

import asyncio
import datetime
import hashlib
import ipaddress
import ssl
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from trackmaster.distributed.transport.contract import TransportError

SERVER_NAME = "trackmaster"
"""Stands in every certificate, so that a server may be reached under any address."""
VALID_DAYS = 3650
FETCH_S = 10.0


def make_certificate(hosts: Iterable[str] = ()) -> tuple[bytes, bytes]:
    """Return a fresh self-signed EC P-256 certificate and its private key, both as PEM.

    Args:
        hosts: names and addresses to mention besides those of this machine; clients go by the hash, not by them.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{SERVER_NAME} server")])
    now = datetime.datetime.now(datetime.UTC)
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # the clocks of two PCs differ
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName([_general_name(h) for h in _names(hosts)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private


def fingerprint(certificate_der: bytes) -> str:
    """Return the SHA-256 of a certificate as hexadecimal digits."""
    return hashlib.sha256(certificate_der).hexdigest()


def fingerprint_of_pem(certificate_pem: bytes) -> str:
    """Return the SHA-256 of a certificate's DER form."""
    return fingerprint(ssl.PEM_cert_to_DER_cert(certificate_pem.decode("ascii")))


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return what a server needs to speak TLS 1.3 and nothing older.

    Raises:
        TransportError: the files are not a certificate and its key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as error:
        raise TransportError(
            f"{certificate} and {key.name} cannot be used ({error}). Make new ones: trackmaster server --init."
        ) from None
    return context


def client_context(certificate_der: bytes) -> ssl.SSLContext:
    """Return a client's context that trusts exactly one certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=ssl.DER_cert_to_PEM_cert(certificate_der))
    return context


async def fetch_certificate(host: str, port: int) -> bytes:
    """Return the certificate that a server shows, as DER; nothing is sent to it.

    Raises:
        OSError: the server cannot be reached or speaks no TLS.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the caller compares the hash before it sends anything
    async with asyncio.timeout(FETCH_S):
        _, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        shown: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.transport.abort()
    if shown is None:
        raise ConnectionError(f"{host}:{port} showed no certificate")
    return shown


def check_fingerprint(shown: bytes, expected: str, place: str) -> None:
    """Refuse a certificate other than the expected one.

    Raises:
        TransportError: its hash differs.
    """
    found = fingerprint(shown)
    if found != expected:
        raise TransportError(
            f"{place} shows another certificate than expected (SHA-256 {found[:16]}…, expected {expected[:16]}…). "
            "Either somebody stands in between, or the server was given a new certificate: ask whoever runs it for the "
            "new join string (trackmaster server --show-join)."
        )


def _names(hosts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([SERVER_NAME, "localhost", "127.0.0.1", "::1", *hosts]))


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host.encode("idna").decode("ascii"))
