"""The dialogues, with the server in memory: at once, and over a socket."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from tests.dialogue import Dialogue, all_dialogues, check_files, play
from tests.support.memory_server import MemoryServer

every_dialogue = pytest.mark.parametrize("dialogue", all_dialogues(), ids=str)


@every_dialogue
def test_in_memory(dialogue: Dialogue, tmp_path: Path) -> None:
    """The machine says and takes what the dialogue expects."""
    play(dialogue, lambda: MemoryServer(dialogue.config_for(tmp_path)))
    check_files(dialogue, tmp_path)


@every_dialogue
def test_over_a_socket(dialogue: Dialogue, tmp_path: Path) -> None:
    """The same dialogue runs over a real socket, where replies and commands come in other pieces."""
    client, server = socket.socketpair()
    client.settimeout(10)
    thread = threading.Thread(target=serve, args=(server, dialogue.config_for(tmp_path)))
    thread.start()
    try:
        play(dialogue, lambda: client)
    finally:
        client.close()
        thread.join()
    check_files(dialogue, tmp_path)


def serve(connection: socket.socket, config: str) -> None:
    """Serve one session over this connection, a few octets at a time."""
    server = MemoryServer(config)
    with connection:
        while True:
            try:
                while octets := server.recv(7):
                    connection.sendall(octets)
                return
            except TimeoutError:
                if octets := connection.recv(1000):
                    server.sendall(octets)
                else:
                    server.close()
