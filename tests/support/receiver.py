"""A receiver of webhooks for tests: `receiver.py PORT FILE`. Each body that it takes becomes a line of FILE before the answer."""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

taken = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        os.write(taken, body + b"\n")
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print("ready", flush=True)
server.serve_forever()
