"""The ways in which an application gets to the server of the suite; see postgres_target.py."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import psycopg2
from conftest import Cluster
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from isolation.pooler import PgBouncer

POOLED = ("taskapp_api", "taskapp_auth")
SERVER_CONNECTIONS = 20
"""Of a pool: enough for tests in which some wait for others."""


@contextmanager
def road(name: str, cluster: Cluster) -> Iterator[Callable[[str], str]]:
    """Make the way; yield what says a role's URL on it. Poolers are for the application, so that others go straight."""
    with ExitStack() as stack:
        if name == "socket":
            yield cluster.url
            return
        if name == "tls":
            certificate, key = stack.enter_context(certificate_of_this_host())
            require_tls(cluster, certificate, key)
            yield lambda role: f"{cluster.tcp_url(role)}?{verified(certificate)}"
            return
        more, query = "", ""
        if name == "pgbouncer-tls":
            certificate, key = stack.enter_context(certificate_of_this_host())
            more = f"client_tls_sslmode = require\nclient_tls_cert_file = {certificate}\nclient_tls_key_file = {key}"
            query = f"?{verified(certificate)}"
        pooler = stack.enter_context(PgBouncer(cluster, SERVER_CONNECTIONS, more))
        yield lambda role: f"{pooler.url(role)}{query}" if role in POOLED else cluster.url(role)


def verified(certificate: Path) -> str:
    """Write the part of a URL that insists on TLS, and on this server."""
    return f"sslmode=verify-full&sslrootcert={certificate}"


@contextmanager
def certificate_of_this_host() -> Iterator[tuple[Path, Path]]:
    """Make a certificate for 127.0.0.1 and localhost, and its key, for a server that is somebody else when we are root."""
    folder = Path(tempfile.mkdtemp(prefix="taskapp-tls-"))
    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, secret.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    names = [x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("localhost")]
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate, key = folder / "server.crt", folder / "server.key"
    certificate.write_bytes(builder.sign(secret, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    key.touch(mode=0o600)
    key.write_bytes(
        secret.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    # The umask of whoever runs the tests may be 077.
    folder.chmod(0o755)
    certificate.chmod(0o644)
    if os.geteuid() == 0:
        shutil.chown(key, "nobody")
    try:
        yield certificate, key
    finally:
        shutil.rmtree(folder)


def require_tls(cluster: Cluster, certificate: Path, key: Path) -> None:
    """Let the server refuse whoever comes over TCP without TLS."""
    rules = "local all all scram-sha-256\nhostssl all,replication all 127.0.0.1/32 scram-sha-256\n"
    (cluster.server.folder / "data" / "pg_hba.conf").write_text(rules)
    with closing(psycopg2.connect(cluster.server.admin_url)) as conn, conn.cursor() as cur:
        conn.autocommit = True
        for setting, value in (("ssl", "on"), ("ssl_cert_file", certificate), ("ssl_key_file", key)):
            cur.execute(f"ALTER SYSTEM SET {setting} = %s", (str(value),))
        cur.execute("SELECT pg_reload_conf()")
