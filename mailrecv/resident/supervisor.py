"""The supervisor of a resident server: starts workers, replaces them, and renews them for a new configuration.

It serves nobody and waits for nobody. Its rules:

1. It has no threads, and forks only from here: a child has all that it inherits in good order.
2. A new configuration is read here, once, and gets new workers. The old ones take no more clients, and end with their
   last session. The socket is open all the while, so no client notices.
3. A configuration with faults changes nothing.
4. A worker that ends before it was told to is replaced; one that does not answer is ended. Workers that end at once,
   again and again, are replaced less and less often.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import subprocess  # noqa: F401 - so that it is there for all workers, which would each import it for its first command
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from mailrecv.config.faults import ConfigError
from mailrecv.config.model import Config
from mailrecv.delivery.command import keep_to
from mailrecv.journal import catalogue
from mailrecv.journal.log import Journal, open_journal
from mailrecv.resident import manager
from mailrecv.resident.child import Child
from mailrecv.resident.config_file import ConfigFile
from mailrecv.resident.register import Register
from mailrecv.resident.worker import RETIRE, STOP, Shared, Worker
from mailrecv.server.chronicle import record_config, record_exception
from mailrecv.server.configuration import record_faults
from mailrecv.server.refusal import refuse_all
from mailrecv.server.session import GOING_DOWN

TICK_SECONDS = 1.0  # between two looks at the configuration, and two questions to each worker
MAX_UNANSWERED = 20  # questions; then a worker is taken to hang
MAX_RETIRED = 4  # times as many workers as serve; should a configuration change that often, the oldest have to hurry
QUICK_END_SECONDS = 10.0  # a worker that ends within them may have ended for a reason that is still there
LONGEST_PAUSE_SECONDS = 30.0  # before such a worker is replaced
_FIRST_PAUSE_SECONDS = 0.1  # doubled each time


class Supervisor:
    """The supervisor of this process.

    listener: where clients connect.  own_listener: this program opened it.  file: of the configuration.  config: what
    was read there.  journal: as that has it.  size: how many workers there are to be.
    """

    def __init__(
        self,
        listener: socket.socket,
        *,
        own_listener: bool,
        file: ConfigFile,
        config: Config,
        journal: Journal,
        size: int = 0,
    ) -> None:
        self._listener = listener
        self._own_listener = own_listener
        self._file = file
        self._config = config
        self._journal = journal
        self._size = size or len(os.sched_getaffinity(0))
        self._register = Register()
        self._children: dict[int, Child] = {}  # by number, the oldest first
        self._last_number = 0
        self._signals, self._wakeup = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._poller = select.poll()
        self._watched: dict[int, Callable[[], None]] = {}  # what to do when a descriptor is readable
        self._quick_ends = 0
        self._fork_again_at = 0.0
        self._stopping = False
        self._recorded_listening = False
        self._told_ready = False
        self._told_status = ""
        self._at_terminal = os.isatty(0)

    def run(self) -> None:
        """Serve until a stop is asked for, and every session has ended."""
        gc.enable()  # it may be off for the sake of a single session
        self._listener.setblocking(False)
        self._take_signals()
        silence = manager.longest_silence() or 2 * TICK_SECONDS
        tick = min(TICK_SECONDS, silence / 2)
        next_tick = time.monotonic() + tick
        while self._children or not self._stopping:
            self._fill()
            self._report()
            for fd, _ in self._poller.poll(self._seconds_until(next_tick) * 1000):
                if fd in self._watched:  # what was done for another may have closed it
                    self._watched[fd]()
            if time.monotonic() >= next_tick:
                next_tick = time.monotonic() + tick
                self._tick()

    def _seconds_until(self, next_tick: float) -> float:
        """Return how long nothing is to be done unless something happens.  next_tick: when a tick is due."""
        now = time.monotonic()
        due = min(next_tick, self._fork_again_at) if self._fork_again_at > now else next_tick
        return max(0.0, due - now)

    def _tick(self) -> None:
        """Do what is to be done every second."""
        for child in self._children.values():
            if child.unanswered == MAX_UNANSWERED:
                self._journal.record(catalogue.WORKER_HANGS, worker=child.pid, seconds=MAX_UNANSWERED * TICK_SECONDS)
                child.kill()
            child.ask()
        if not self._stopping and self._file.has_changed():
            self._reload()
        if self._serving and all(child.ready and child.unanswered <= MAX_UNANSWERED for child in self._serving):
            manager.alive()

    # Signals

    def _take_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)  # Python puts its number into the pipe
        signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
        self._watch(self._signals, self._obey_signals)

    def _obey_signals(self) -> None:
        for number in os.read(self._signals, 64):
            if number == signal.SIGHUP and not (self._at_terminal and not os.isatty(0)):
                if not self._stopping:
                    self._reload()
            elif number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):  # the last: the terminal was closed
                if self._stopping:
                    self._end_at_once(number)
                self._begin_to_stop()

    def _begin_to_stop(self) -> None:
        self._stopping = True
        manager.stopping()
        self._journal.record(catalogue.STOPPING, reason=f"{self._register.connections} sessions are open")
        for child in self._children.values():
            child.tell(STOP)
        if self._own_listener and not self._serving:  # else it is they who tell those who wait
            refuse_all(self._listener, GOING_DOWN)
        self._listener.close()

    def _end_at_once(self, number: int) -> None:
        """End without regard to sessions, the way the signal would have it."""
        for child in self._children.values():
            child.kill()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    # The configuration

    def _reload(self) -> None:
        manager.reloading()
        self._told_ready = False
        try:
            self._config = self._file.read()
        except Exception as error:  # noqa: BLE001 - whatever it is, the workers have what they need
            if isinstance(error, ConfigError):
                record_faults(self._journal, error)
            else:
                record_exception(self._journal, error)
            self._journal.record(catalogue.CONFIG_REFUSED, path=self._file.path)
            return
        self._journal = open_journal(self._config.logfile, self._config.debug, loghex=self._config.loghex)
        record_config(self._journal, self._config)
        self._journal.record(catalogue.CONFIG_RELOADED, path=self._file.path)
        for child in self._serving:
            child.retired = True
            child.tell(RETIRE)
        self._fork_again_at = 0.0
        retired = [child for child in self._children.values() if child.retired]
        for child in retired[: -MAX_RETIRED * self._size]:
            child.tell(STOP)

    # Workers

    @property
    def _serving(self) -> list[Child]:
        """The workers that take clients, or are about to."""
        return [child for child in self._children.values() if not child.retired]

    def _fill(self) -> None:
        """Start as many workers as are missing, unless the time for that is still to come."""
        missing = 0 if self._stopping or time.monotonic() < self._fork_again_at else self._size - len(self._serving)
        for _ in range(missing):
            self._last_number += 1
            processor = self._least_used_processor()
            try:
                child = Child.fork(self._last_number, processor, partial(self._live, processor))
            except OSError as error:
                self._journal.record(catalogue.WORKER_MISSING, reason=error.strerror or str(error))
                self._pause()
                return
            self._children[child.number] = child
            self._watch(child.connection.fileno(), child.hear)
            self._watch(child.process_fd, partial(self._bury, child))

    def _least_used_processor(self) -> int:
        taken = [child.processor for child in self._serving]
        return min(sorted(os.sched_getaffinity(0)), key=taken.count)

    def _live(self, processor: int, supervisor: socket.socket) -> None:
        """Be a worker; called in a new process.  supervisor: the connection to this one."""
        # Its threads take turns at the interpreter. On one processor, a thread that makes a short call of the system
        # goes on after it; on several, another has taken its turn by then, and a fifth of the work is to wait for it.
        keep_to(processor)
        for child in self._children.values():
            child.forget()
        os.close(self._signals)
        os.close(self._wakeup)
        if os.environ.get("NOTIFY_SOCKET"):
            del os.environ["NOTIFY_SOCKET"]  # a worker has nothing to tell systemd
        shared = Shared(self._listener, self._own_listener, self._register, self._config, self._journal)
        try:
            Worker(shared, self._last_number, supervisor).run()
        except Exception as error:
            record_exception(self._journal, error)
            raise

    def _bury(self, child: Child) -> None:
        """Deal with the end of a worker."""
        self._unwatch(child.connection.fileno(), child.process_fd)
        del self._children[child.number]
        end = child.bury()
        lost = self._register.clear(child.number)
        if end or not (child.retired or self._stopping):
            end = end or "ended without being told to"
            self._journal.record(catalogue.WORKER_LOST, worker=child.pid, end=end, connections=lost)
        if not child.retired and not self._stopping:
            if time.monotonic() - child.began < QUICK_END_SECONDS:
                self._pause()
            else:
                self._quick_ends = 0

    def _pause(self) -> None:
        """Let some time pass until the next worker is started, more each time."""
        pause = min(LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**self._quick_ends)
        self._fork_again_at = time.monotonic() + pause
        self._quick_ends = min(self._quick_ends + 1, 16)

    # What systemd is told

    def _report(self) -> None:
        """Tell systemd what has changed."""
        if not self._told_ready and not self._stopping and self._serving and all(c.ready for c in self._serving):
            manager.ready()
            self._told_ready = True
            if not self._recorded_listening:
                self._journal.record(catalogue.LISTENING, address=_shown(self._listener.getsockname()))
                self._recorded_listening = True
        serving = len(self._serving)
        retired = len(self._children) - serving
        status = f"{serving} workers, {self._register.connections} connections"
        if retired:
            status += f"; {retired} workers finish sessions of an earlier configuration"
        if status != self._told_status:
            manager.status(status)
            self._told_status = status

    # Descriptors

    def _watch(self, fd: int, act: Callable[[], None]) -> None:
        self._watched[fd] = act
        self._poller.register(fd, select.POLLIN)

    def _unwatch(self, *fds: int) -> None:
        for fd in fds:
            if self._watched.pop(fd, None):
                with suppress(KeyError):
                    self._poller.unregister(fd)


def _shown(address: str | bytes | tuple[object, ...]) -> str:
    """Return the address of a socket in words; it is a path for AF_UNIX."""
    return f"{address[0]} port {address[1]}" if isinstance(address, tuple) else os.fsdecode(address)
