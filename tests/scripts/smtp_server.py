#!/usr/bin/env python3
"""An SMTP server for tests: aiosmtpd on a port of its own choosing, which keeps what it is sent.

    smtp_server.py --into DIR [--certificate PEM --key PEM] [--login USER:PASSWORD]

Prints "port N" when it listens, and ends with its standard input. Each mail becomes a file in DIR,
NNNN.json, with what a mail program would show. It refuses recipients that begin with "gone" for good (550),
and those that begin with "busy" the first time (451).
"""

import argparse
import asyncio
import email
import email.policy
import itertools
import json
import pathlib
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

numbers = itertools.count()
busy = set()


class Keeper:
    def __init__(self, into):
        self.into = pathlib.Path(into)

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("gone"):
            return "550 5.1.1 nobody here is called " + address
        if address.startswith("busy") and address not in busy:
            busy.add(address)
            return "451 4.3.0 not now"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        body = {kind: message.get_body((kind,)).get_content() for kind in ("plain", "html")}
        mail = {"from": envelope.mail_from, "to": envelope.rcpt_tos, "tls": bool(session.ssl),
                "headers": dict(message.items()), **body}
        name = self.into / f"{next(numbers):04}"
        name.with_suffix(".part").write_text(json.dumps(mail))
        name.with_suffix(".part").rename(name.with_suffix(".json"))
        return "250 kept"


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--into", required=True)
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--login")
    arguments = parser.parse_args()
    more = {"hostname": "localhost"}
    if arguments.certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(arguments.certificate, arguments.key)
        more |= {"tls_context": tls, "require_starttls": True}
    if arguments.login:
        user, password = arguments.login.split(":")

        def authenticate(server, session, envelope, mechanism, data):
            good = (data.login, data.password) == (user.encode(), password.encode())
            return AuthResult(success=good, handled=good)

        more |= {"authenticator": authenticate, "auth_required": True,
                 "auth_require_tls": bool(arguments.certificate)}
    keeper = Keeper(arguments.into)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(keeper, **more), "127.0.0.1", 0)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    # The pool of whoever is connected keeps its connections; they end with us.
    server.close()


asyncio.run(main())
