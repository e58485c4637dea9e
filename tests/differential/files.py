"""An upstream of the differential test: files, as Python's own server finds them.

    files.py PORT APP OPEN
"""

import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

PORT, APP, OPEN = sys.argv[1:4]


class Files(SimpleHTTPRequestHandler):
    def translate_path(self, path):
        host = self.headers.get("Host", "").split(":")[0].rstrip(".").lower()
        self.directory = OPEN if host == "open.example.test" else APP
        return super().translate_path(path)

    def do_POST(self):
        self.do_GET()

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(PORT)), Files).serve_forever()
