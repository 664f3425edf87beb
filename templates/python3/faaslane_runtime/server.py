"""Accepts connections and gives each a thread: the watchdog keeps a few open and reuses them."""

import os
import signal
import socket
import stat
import sys
import threading
import time

from .answer import BrokenAnswer, write_answer
from .handler import report
from .wire import Connection, Disconnected, Refusal

BACKLOG = 1024
# Over the soft limit connections are not kept alive, over the hard one they wait in the backlog.
SOFT_CONNECTIONS = 256
HARD_CONNECTIONS = 512
LINGER_SECONDS = 10


class Server:
    def __init__(self, respond, settings):
        self._respond = respond
        self._settings = settings
        self._connections = threading.BoundedSemaphore(HARD_CONNECTIONS)
        self._open = 0
        self._busy = 0
        self._changed = threading.Condition()
        self._stopping = False
        self._listener = None

    def run(self):
        """Serves until SIGTERM, then finishes what is under way, for at most drain_seconds."""
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self._settings.port))
        signal.signal(signal.SIGTERM, self._stop)
        exit_with_parent()
        self._listener.listen(BACKLOG)
        self._accept()
        with self._changed:
            self._changed.wait_for(lambda: self._busy == 0, self._settings.drain_seconds)

    def _stop(self, _signal, _frame):
        # Runs in the main thread, inside accept: closing the socket makes that fail at once.
        self._stopping = True
        self._listener.close()

    def _accept(self):
        while not self._stopping:
            self._connections.acquire()
            try:
                sock, _ = self._listener.accept()
            except OSError as error:
                self._connections.release()
                if not self._stopping:
                    print("a connection was not accepted: %s" % error, file=sys.stderr)
                    time.sleep(0.05)  # out of file descriptors: give calls under way the time to return some
                continue
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        self._count_open(1)
        try:
            with sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._converse(Connection(sock, self._settings.max_body_bytes))
        except (OSError, Disconnected):
            pass  # the watchdog, or its caller, has given up on the call
        except BrokenAnswer:
            report()
        finally:
            self._count_open(-1)
            self._connections.release()

    def _converse(self, connection):
        while True:
            try:
                request = connection.read_request()
            except Refusal as refusal:
                headers = [("Content-Type", "text/plain; charset=utf-8")]
                body = (refusal.message + "\n").encode()
                write_answer(connection, "", (refusal.status, headers, body), keep_alive=False)
                connection.discard(LINGER_SECONDS)
                return
            if request is None:
                return
            self._count_busy(1)
            try:
                answer = self._respond(request)
                keep_alive = request.keep_alive and not self._stopping and self._open <= SOFT_CONNECTIONS
                write_answer(connection, request.method, answer, keep_alive)
            finally:
                self._count_busy(-1)
            if not keep_alive:
                return

    def _count_open(self, step):
        with self._changed:
            self._open += step

    def _count_busy(self, step):
        with self._changed:
            self._busy += step
            if self._busy == 0:
                self._changed.notify_all()


def exit_with_parent():
    """The watchdog holds our stdin open; its end means that the watchdog is gone, and nobody will call us again."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return  # closed
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return  # a terminal or /dev/null: started by hand

    def wait():
        while os.read(0, 4096):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
