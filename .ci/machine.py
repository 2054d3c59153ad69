"""A Debian 12 of its own, booted in systemd-nspawn: a root folder, no network but a loopback."""

import os
import shutil
import subprocess
import time
from pathlib import Path

BASE = Path(__file__).resolve().parent.parent / "target/tools/debian-12.tar"
CONTENT = "systemd-sysv,dbus,cron,ca-certificates,tzdata"
NEEDED = {"mmdebstrap": "mmdebstrap", "systemd-nspawn": "systemd-container", "nsenter": "util-linux", "curl": "curl"}
LIMIT = 60  # seconds within which an awaited condition must hold


def ran(*command, **options):
    """Runs a command that must succeed, and returns its output."""
    code, printed = end_of(*command, **options)
    assert code == 0, f"{' '.join(map(str, command))} ended with {code}: {printed}"
    return printed


def end_of(*command, **options):
    """Runs a command, and returns its exit code and what it printed."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, **options}
    done = subprocess.run(command, stdin=subprocess.DEVNULL, check=False, **options)
    return done.returncode, done.stdout.strip()


def until(what, condition, limit=LIMIT):
    """Waits for a condition, and returns what it found."""
    end = time.monotonic() + limit
    while not (found := condition()):
        assert time.monotonic() < end, f"{what}: not within {limit} s"
        time.sleep(0.1)
    return found


def install_tools():
    missing = [package for command, package in NEEDED.items() if not shutil.which(command)]
    if missing:
        print("installing:", *missing, flush=True)
        ran("apt-get", "update", "-q")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        ran("apt-get", "install", "-q", "-y", "--no-install-recommends", *missing, env=environment)


def make_base():
    """Makes the archive of the root folder, once."""
    if not BASE.exists():
        BASE.parent.mkdir(parents=True, exist_ok=True)
        unfinished = BASE.with_suffix(".part.tar")
        options = ["--quiet", "--variant=minbase", f"--include={CONTENT}", "--dpkgopt=force-unsafe-io"]
        ran("mmdebstrap", *options, "bookworm", unfinished)
        unfinished.rename(BASE)


class Machine:
    def __init__(self, folder):
        self.root, self.console, self.nspawn = folder / "root", folder / "console", None
        self.root.mkdir()
        ran("tar", "--extract", f"--file={BASE}", f"--directory={self.root}")

    def boot(self):
        # Where the host has no systemd, nothing can register the container.
        alone = [] if Path("/run/systemd/system").exists() else ["--register=no", "--keep-unit"]
        command = ["systemd-nspawn", "--quiet", "--boot", "--private-network", f"--machine=rtconfd-{os.getpid()}"]
        with open(self.console, "wb") as console:
            files = {"stdin": subprocess.DEVNULL, "stdout": console, "stderr": console}
            self.nspawn = subprocess.Popen([*command, *alone, f"--directory={self.root}"], **files)
        is_up = lambda: self.first_process() and self.end_of("systemctl", "is-system-running")[0] == 0
        until("systemd has started", is_up)

    def first_process(self):
        assert self.nspawn.poll() is None, f"the container ended: {self.console.read_text(errors='replace')}"
        return Path(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children").read_text().split()[:1]

    def end(self):
        """Ends the container at once, by its first process."""
        if self.nspawn and self.nspawn.poll() is None:
            for process in self.first_process():
                os.kill(int(process), 9)
            self.nspawn.wait()

    def entered(self, namespaces, *command):
        [process] = self.first_process()
        return ["nsenter", f"--target={process}", namespaces, "--", *command]

    def end_of(self, *command):
        clean = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"]
        return end_of(*self.entered("--all", *clean, *command))

    def run(self, *command):
        code, printed = self.end_of(*command)
        assert code == 0, f"{' '.join(command)} ended with {code}: {printed}"
        return printed

    def fails(self, *command):
        """Runs a command that must fail, and returns what it printed."""
        code, printed = self.end_of(*command)
        assert code != 0, f"{' '.join(command)} succeeded: {printed}"
        return printed

    def is_active(self, unit):
        return self.end_of("systemctl", "is-active", unit)[1] == "active"

    def show(self, name, unit="rtconfd.service"):
        return self.run("systemctl", "show", "--value", f"--property={name}", unit)

    def journal(self, *options):
        return self.run("journalctl", "--no-pager", "--quiet", "--output=cat", *options)

    def report(self):
        """Returns what helps to understand a failure."""
        if self.nspawn.poll() is not None:
            return self.console.read_text(errors="replace")
        units = ["rtconfd.service", "rtconfd-apply.service"]
        status = self.end_of("systemctl", "--no-pager", "--full", "--lines=0", "status", *units)[1]
        return status + "\n" + self.end_of("journalctl", "--no-pager", "--lines=40")[1]

    def write(self, path, text, mode=0o644):
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def drop_in(self, unit, name, text):
        self.write(f"/etc/systemd/system/{unit}.d/{name}.conf", text)
        self.run("systemctl", "daemon-reload")

    def files(self):
        """Returns the paths that outlive the machine's run, without logs and caches."""
        passing = {"proc", "sys", "dev", "run", "tmp", "var/log", "var/cache"}
        found = set()
        for folder, folders, files in os.walk(self.root):
            here = Path(folder).relative_to(self.root)
            folders[:] = [name for name in folders if str(here / name) not in passing]
            found.update(str(here / name) for name in [*folders, *files])
        return found
