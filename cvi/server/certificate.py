"""A self-signed certificate for HTTPS: browsers give cameras to secure pages only."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cvi.errors import CviError
from cvi.files import write_bytes
from cvi.paths import home

VALID_DAYS = 365
RENEW_DAYS = 14


def certificate(names: Iterable[str]) -> tuple[Path, Path]:
    """The certificate and key for these names and addresses.

    They are made again when other names are asked for, or when the certificate is about to expire.

    They lie under `$CVI_HOME/tls`. Raises `CviError` when they cannot be written.
    """
    wanted = sorted({"localhost", "127.0.0.1", socket.gethostname(), *names} - {"0.0.0.0", "::", ""})  # noqa: S104
    folder = home() / "tls"
    cert, key = folder / "cert.pem", folder / "key.pem"
    if not (key.is_file() and _serves(cert, wanted)):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise CviError(
                f"No certificate can be written to {folder}: {error.strerror}.",
                "Give --tls-cert and --tls-key.",
            ) from error
        _make(cert, key, wanted)
    return cert, key


def _serves(cert: Path, wanted: list[str]) -> bool:
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificate(cert.read_bytes())
    except (OSError, ValueError):
        return False
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    covered = {str(name.value) for name in names}
    fresh = found.not_valid_after_utc > datetime.now(UTC) + timedelta(days=RENEW_DAYS)
    return fresh and set(wanted) <= covered


def _make(cert: Path, key: Path, names: list[str]) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cvi on this machine")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    secret = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_bytes(key, secret, mode=0o600)
    write_bytes(cert, made.public_bytes(serialization.Encoding.PEM), mode=0o600)


def _name(text: str):  # type: ignore[no-untyped-def] # one of cryptography's many name types
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
