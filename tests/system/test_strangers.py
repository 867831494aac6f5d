"""Strangers who connect and connect, kept away as docs/operating.md says: before mailrecv is started for them."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

from tests.support.guides import Step, section, steps
from tests.support.machine import typed
from tests.system.mailhost import MailHost
from tests.system.person import Person

HERE, SENDER, STRANGER = "192.0.2.1", "192.0.2.9", "192.0.2.10"  # the guide knows the second
HERE6, SENDER6, STRANGER6 = "2001:db8:1::1", "2001:db8:1:2::9", "2001:db8:1:3::9"
GREETING = "220 mydomain.com SMTP (RFC 822) mailrecv"
MANY = 300  # connections at once, three times what the guide allows
CABLE = f"""
ip netns add outside
ip link add inner type veth peer name outer netns outside
ip address add {HERE}/24 dev inner
ip address add {HERE6}/48 dev inner nodad
ip link set inner up
for address in {SENDER} {STRANGER}; do ip -n outside address add $address/24 dev outer; done
for address in {SENDER6} {STRANGER6}; do ip -n outside address add $address/48 dev outer nodad; done
ip -n outside link set outer up
ip -n outside link set lo up
"""


@pytest.fixture
def debian(root: Path, tmp_path: Path) -> Generator[MailHost, None, None]:
    """A machine whose systemd may filter packets, which it does by programs for the kernel."""
    with MailHost(root, tmp_path, "--system-call-filter=bpf") as machine:
        yield machine


@pytest.fixture
def reached(debian: MailHost, package: Path) -> MailHost:
    """A machine that listens, with clients in a network of their own."""
    debian.install(package)
    debian.configure("limit.fcrdns_check off")
    debian.enable()
    debian.shell(CABLE)
    return debian


def commands(*words: str) -> Sequence[Step]:
    """Return the commands of the guide from one that holds the first of these words to one that holds the second."""
    first, last = words
    guide = steps(section("docs/operating.md", "## Strangers"))
    numbers = [number for number, step in enumerate(guide) if first in step.command or last in step.command]
    return guide[numbers[0] : numbers[-1] + 1]


def nc(address: str) -> tuple[str, ...]:
    """Return the command of a client at this address."""
    return (
        "ip",
        "netns",
        "exec",
        "outside",
        "nc",
        "-N",
        "-w",
        "3",
        "-s",
        address,
        HERE6 if ":" in address else HERE,
        "25",
    )


def sessions(machine: MailHost) -> int:
    """Return how many sessions have been started."""
    return int(machine.show("mailrecv.socket", "NAccepted"))


def test_known_addresses(reached: MailHost) -> None:
    """With the addresses of senders in the socket, no session is started for others, nor for a packet of theirs."""
    Person(reached).follows(commands("mkdir", "restart mailrecv.socket"))
    before = sessions(reached)
    for address in (STRANGER, STRANGER):
        assert reached.run(*nc(address), octets=typed("QUIT"), status=1) == ""
    assert sessions(reached) == before
    for address in (SENDER, SENDER6, STRANGER6):  # the guide lets in the whole network of these two
        assert reached.run(*nc(address), octets=typed("QUIT")).startswith(GREETING)
    assert sessions(reached) == before + 3
    assert reached.send("me")[:3] == "250"


@pytest.mark.parametrize("stranger, sender", [(STRANGER, SENDER), (STRANGER6, SENDER6)])
def test_rates(reached: MailHost, stranger: str, sender: str) -> None:
    """Of very many connections at once most are dropped, before a process is started for them; others are served."""
    Person(reached).follows(commands("tee -a", "restart nftables"))
    before = sessions(reached)
    one = " ".join(nc(stranger)[:5]) + f" -z -w 1 -s {stranger} {nc(stranger)[-2]} 25"
    reached.shell(f"seq {MANY} | xargs -P {MANY} -I{{}} {one} || true")
    assert sessions(reached) - before + int(reached.show("mailrecv.socket", "NRefused")) < MANY * 2 // 3
    assert reached.run(*nc(sender), octets=typed("QUIT")).startswith(GREETING)
    assert reached.send("me")[:3] == "250"
    assert stranger.partition("::")[0] in reached.run("nft", "list", "table", "inet", "mailrecv")
