"""An authority of our own, and what it has signed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from .servers import missing


class Authority:
    """A CA whose certificate nobody trusts who is not told to.

    Args:
        folder: where its files are.
        name: of the CA.
    """

    def __init__(self, folder: Path, name: str) -> None:
        if shutil.which("openssl") is None:
            missing("no openssl on the PATH")
        self._folder, self._name = folder, name
        self.certificate, self._key = folder / f"{name}.crt", folder / f"{name}.key"
        self._openssl(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", self._key, "-out", self.certificate,
        )  # fmt: skip

    def sign(self, name: str, host: str = "IP:127.0.0.1") -> tuple[Path, Path]:
        """A certificate for a server or a client, and its key."""
        request, key, signed = (self._folder / f"{self._name}-{name}.{end}" for end in ("csr", "key", "crt"))
        names = self._folder / f"{name}.ext"
        names.write_text(
            f"subjectAltName={host}\nauthorityKeyIdentifier=keyid\n"
        )  # strict from Python 3.13 on
        self._openssl(
            "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request
        )
        self._openssl(
            "x509", "-req", "-in", request, "-days", "2", "-CA", self.certificate, "-CAkey", self._key,
            "-CAcreateserial", "-extfile", names, "-out", signed,
        )  # fmt: skip
        return signed, key

    def _openssl(self, *words: object) -> None:
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
