"""`make serve` as a shell starts it in the background: Ctrl-C is ignored when it begins."""

from __future__ import annotations

import signal

from deployments.serve import serve

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve()
