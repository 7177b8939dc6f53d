"""A mail server for tests: `mail_server.py PORT FOLDER`. Each mail becomes a line of FOLDER/mails. Who is called refuse@ gets 550 and
who is called busy@ gets 451, while FOLDER/trouble is there."""

import email
import json
import os
import signal
import sys

from aiosmtpd.controller import Controller

folder = sys.argv[2]


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        who = address.split("@")[0]
        if os.path.exists(f"{folder}/trouble") and who in ("refuse", "busy"):
            return f"550 <{address}> unknown" if who == "refuse" else "451 try later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content)
        line = {"to": envelope.rcpt_tos[0], "id": mail["Message-ID"], "subject": mail["Subject"], "text": mail.get_payload(decode=True).decode()}
        with open(f"{folder}/mails", "a") as mails:
            mails.write(json.dumps(line) + "\n")
        return "250 OK"


Controller(Handler(), hostname="127.0.0.1", port=int(sys.argv[1])).start()
print("ready", flush=True)
signal.pause()
