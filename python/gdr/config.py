"""config.py - what a process's calls have in common: which database, how bad a
match may serve, how many threads the cpu takes."""

import threading

from .dispatch import Database
from .errors import ArgumentError
from .structs import MATCHES


class Settings:
    """One per process, made by gdr.configure."""

    def __init__(self):
        self._lock = threading.Lock()
        self.worst = "ptx"
        self.threads = 0
        self.generation = 0  # how often it was configured
        self._database = None

    @property
    def database(self):
        """The Database, opened at its first use."""
        with self._lock:
            if self._database is None:
                self._database = Database()
            return self._database

    def set_for(self, problem, device, worst=None, database=None,
                pin=None):
        """The dispatch.Set that serves a problem on a device."""
        threads = self.threads if device == "cpu" else 0
        handle = (database or self.database).device(device, threads)
        return handle.select(problem, worst or self.worst, pin)

    def configure(self, database=None, worst=None, threads=None):
        if worst is not None and worst not in MATCHES:
            raise ArgumentError(f"worst = {worst!r}: one of "
                                + ", ".join(MATCHES))
        with self._lock:
            self.generation += 1
            if database is not None:
                same = isinstance(database, Database)
                self._database = database if same else Database(database)
            if worst is not None:
                self.worst = worst
            if threads is not None:
                self.threads = threads


settings = Settings()


def configure(database=None, worst=None, threads=None):
    """Sets what calls use that say nothing else.

    database: a path or a Database; by default what gdr_open(NULL) finds:
    $GDR_DB, the user's, the system's. worst: the worst match that may serve,
    "exact" to "generic" ("ptx", so not the generic kernel); $GDR_MATCH has the
    last word. threads: of the cpu's pool; 0: all that
    this process may use. A Recurrent that was called keeps its plans; the
    doors do not."""
    settings.configure(database, worst, threads)
