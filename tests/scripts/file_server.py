#!/usr/bin/env python3
"""A web server for tests, on a port of its own choosing, which has the files of a directory.

    file_server.py DIR

Prints "port N" when it listens, and ends with its standard input.
"""

import functools
import http.server
import os
import sys
import threading


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


handler = functools.partial(Quiet, directory=sys.argv[1])
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
print("port", server.server_port, flush=True)


def end():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end, daemon=True).start()
server.serve_forever()
