#!/usr/bin/env python3
"""Verifies the signatures of notifications with the package standardwebhooks, which other people wrote.

Sends a test message to a server in this process, and lets the package verify what arrives. It must also refuse the same
message with one byte changed, another id, or another secret.
"""
import base64
import http.server
import importlib
import os
import pathlib
import subprocess
import sys
import tempfile
import threading

PACKAGE = "standardwebhooks==1.1.0"
ROOT = pathlib.Path(__file__).parent.parent


def package():
    """Returns the module of the package; installs it beside the build if it is missing."""
    tools = ROOT / "target/tools" / PACKAGE
    if not tools.exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--target", tools, PACKAGE], check=True)
    sys.path.insert(0, str(tools))
    return importlib.import_module("standardwebhooks.webhooks")


class Receiver(http.server.BaseHTTPRequestHandler):
    received = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.received.append((dict(self.headers), body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def send(program, secret):
    """Sends a test message; returns its headers and body."""
    server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "secret").touch(mode=0o600)
        (folder / "secret").write_text(secret)
        (folder / "rtconfd.toml").write_text(f"""
[api]
region = "uk"
[[notify]]
name = "hook"
type = "webhook"
url = "http://127.0.0.1:{server.server_port}/"
secret_file = "secret"
[[page]]
agent = "A-1"
environment = "live"
variables = {{ is_open = true }}
""")
        subprocess.run([program, "notify", "test"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    server.shutdown()
    return Receiver.received.pop()


def main():
    webhooks = package()
    program = sys.argv[1] if len(sys.argv) > 1 else ROOT / "target/debug/rtconfd"

    def verify(secret, headers, body):
        return webhooks.Webhook(secret).verify(body, headers)

    def is_refused(secret, headers, body):
        try:
            verify(secret, headers, body)
        except webhooks.WebhookVerificationError:
            return True
        return False

    for length in (24, 32, 64):
        secret, other = ("whsec_" + base64.b64encode(os.urandom(length)).decode() for _ in range(2))
        headers, body = send(program, secret)
        assert verify(secret, headers, body)["type"] == "rtconfd.test", body
        assert is_refused(other, headers, body)
        assert is_refused(secret, headers, body.replace(b"rtconfd.test", b"rtconfd.tEst"))
        assert is_refused(secret, {**headers, "webhook-id": "msg_other"}, body)
    print(f"signatures: verified by {PACKAGE}")


if __name__ == "__main__":
    main()
