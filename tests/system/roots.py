"""Pristine Debian systems for machines to start from: made by debootstrap, kept outside the repository, only ever read.

They are kept in ~/.cache/mailrecv-tests, or in the folder that MAILRECV_TEST_CACHE names. One is made again when it is
old, or when this file changes.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

MIRROR = os.environ.get("MAILRECV_TEST_MIRROR", "http://deb.debian.org/debian")
MAX_AGE_DAYS = 30
PACKAGES = (
    "dbus",
    "systemd-sysv",
    # what mailrecv depends on: machines have no network to get it from
    "libpcre2-8-0",
    "python3",
    "python3-structlog",
    "python3-systemd",
    # what the stories use
    "dnsmasq-base",
    "fail2ban",
    "iproute2",
    "logrotate",
    "netcat-openbsd",
    "nftables",
    "sudo",
    "swaks",
    "xinetd",
)
# What would start by itself while a test looks elsewhere.
MASKED = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "logrotate.timer"),
    *("fail2ban.service", "xinetd.service"),
)


@contextmanager
def pristine(release: str) -> Generator[Path, None, None]:
    """Return the folder of a pristine Debian, which nobody replaces in the meantime.  release: its code name."""
    cache = Path(os.environ.get("MAILRECV_TEST_CACHE") or Path.home() / ".cache" / "mailrecv-tests")
    cache.mkdir(parents=True, exist_ok=True)
    recipe = hashlib.sha256(Path(__file__).read_bytes() + MIRROR.encode()).hexdigest()[:12]
    root = cache / f"{release}-{recipe}"
    with (cache / f"{release}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        while not _is_fresh(root):
            fcntl.flock(lock, fcntl.LOCK_EX)  # waits until nobody uses the old one
            if not _is_fresh(root):
                for old in cache.glob(f"{release}-*"):
                    shutil.rmtree(old)
                _make(release, root)
            fcntl.flock(lock, fcntl.LOCK_SH)
        yield root


def _is_fresh(root: Path) -> bool:
    return root.exists() and time.time() - root.stat().st_mtime < MAX_AGE_DAYS * 24 * 60 * 60


def _make(release: str, root: Path) -> None:
    """Make a root, which appears under its name when it is complete."""
    with tempfile.TemporaryDirectory(dir=root.parent, prefix=f"{release}-new-") as folder:
        new = Path(folder) / "root"
        proxy = _output("apt-config", "shell", "http_proxy", "Acquire::http::Proxy").removeprefix("http_proxy=").strip()
        environment = {**os.environ, **({"http_proxy": proxy.strip("'")} if proxy else {})}
        # In namespaces of its own, so that whatever it mounts and starts in there ends with it.
        isolated = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
        options = ("--variant=minbase", f"--include={','.join(PACKAGES)}")
        _output(*isolated, "debootstrap", *options, release, str(new), MIRROR, env=environment)
        _output("chroot", str(new), "apt-get", "clean")
        shutil.rmtree(new / "var/lib/apt/lists")
        _output("systemctl", f"--root={new}", "mask", *MASKED)
        (new / "etc/dpkg/dpkg.cfg.d/tests").write_text("force-unsafe-io\n")
        for of_this_machine in ("etc/hostname", "etc/resolv.conf"):
            (new / of_this_machine).unlink()
        new.chmod(0o755)
        os.utime(new)
        new.rename(root)


def _output(*command: str, env: dict[str, str] | None = None) -> str:
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, check=False)
    if ended.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{ended.stdout[-3000:]}")
    return ended.stdout
