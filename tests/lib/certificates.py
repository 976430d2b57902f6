"""Certificates that are made when they are needed, and what a client trusts because of them.

    authority = Pair(folder, "authority", authority=True)
    pair = Pair(folder, "host", "rsa", authority)   # key and certificate, in files of the folder
    pair.trust()                                    # an ssl.SSLContext
"""
import os
import ssl
import subprocess

KEYS = {"rsa": ["-newkey", "rsa:2048"],
        "p256": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        "p384": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"]}
NAMES = "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:chat.example"


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, stdin=subprocess.DEVNULL)


class Pair:
    """A private key and its certificate, in files of a folder: signed by itself, or by issuer, another
    Pair. chain: the certificate and those between it and the root."""

    def __init__(self, folder, name, kind="p256", issuer=None, authority=False):
        self.name = name
        self.key, self.certificate, self.chain = (f"{folder}/{name}.{end}" for end in ("key", "pem", "chain"))
        self.root = issuer.root if issuer else self
        # Python verifies as strictly as RFC 5280 says, since 3.13: an authority says that it signs.
        use = ["-addext", "basicConstraints=critical,CA:TRUE",
               "-addext", "keyUsage=critical,keyCertSign,cRLSign"] if authority else \
              ["-addext", "basicConstraints=CA:FALSE"]
        by = ["-CA", issuer.certificate, "-CAkey", issuer.key] if issuer else []
        if issuer:
            openssl("req", *KEYS[kind], "-nodes", "-keyout", self.key, "-out", f"{self.key}.req",
                    "-subj", f"/CN={self.name}", "-addext", NAMES, *use)
            openssl("x509", "-req", "-in", f"{self.key}.req", *by, "-CAcreateserial", "-days", "2",
                    "-copy_extensions", "copy", "-out", self.certificate)
        else:
            openssl("req", "-x509", *KEYS[kind], "-nodes", "-keyout", self.key, "-days", "2",
                    "-out", self.certificate, "-subj", f"/CN={self.name}", "-addext", NAMES, *use)
        os.chmod(self.key, 0o600)
        between = open(issuer.chain).read() if issuer and issuer.root is not issuer else ""
        with open(self.chain, "w") as out:
            out.write(open(self.certificate).read() + between)

    def options(self):
        return ["-o", f"tls_certificate_file={self.chain}", "-o", f"tls_key_file={self.key}"]

    def trust(self):
        """A client's context that accepts what this pair's root has signed."""
        context = ssl.create_default_context(cafile=self.root.certificate)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    def serial(self):
        out = subprocess.run(["openssl", "x509", "-in", self.certificate, "-noout", "-serial"],
                             check=True, capture_output=True, text=True).stdout
        return out.strip().split("=")[1]
