#!/usr/bin/env python3
"""What local times and instants are in each other's terms, by Python's zoneinfo alone.

    zone-oracle.py TZDB_VERSION DIRECTORY < names-of-zones > answers

For every zone named on standard input it finds each transition from 2024 to 2037 and prints what DESIGN 3.3 wants of
the local times and instants from three hours before to three hours after. It knows nothing of rtconfd. The zone
database is the one of TZDB_VERSION, as in 2025b, and no other: rules of zones change from version to version. It is
looked for in DIRECTORY, then among the machine's own, then asked of pip, which puts the package tzdata into DIRECTORY.

The answers, one a line; times are seconds since 1970, local ones as if the wall clock were UTC:

    V version where              the zone database
    Z name                       a zone; what follows is of it
    T instant                    a transition
    L local instant event        a local time: its instant, and that of a calendar event at it
    I instant local              what the wall clock shows
    D local start occurs         a date's midnight: the date's first instant, and 1 if the date occurs
    S instant text               the instant as people see it
    X name                       a zone that the database lacks
"""

import subprocess
import sys
from bisect import bisect_right
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

try:
    import zoneinfo
except ImportError:
    sys.exit("Python has no zoneinfo; install python3 in version 3.9 or later")

FIRST, LAST = 2024, 2037
HOURS = 3
STEP = 300  # seconds between two probes
EPOCH = datetime(1970, 1, 1)
EPOCH_UTC = datetime(1970, 1, 1, tzinfo=timezone.utc)
DAY = 86400


def seconds(naive):
    return (naive - EPOCH) // timedelta(seconds=1)


# ---- the zone database ---------------------------------------------------------------------------------------------


def packaged_version(version):
    """2025b is tzdata 2025.2 in the package index."""
    return f"{version[:4]}.{ord(version[4]) - ord('a') + 1}"


def version_in(directory):
    """The version that a directory of compiled zones says it has, if it does."""
    for name in ("tzdata.zi", "+VERSION", "version"):
        try:
            line = (directory / name).read_text(encoding="utf-8").split("\n", 1)[0]
        except OSError:
            continue
        return line.replace("# version", "").strip()
    return None


def installed(directory, version):
    zones = directory / "tzdata" / "zoneinfo"
    marks = directory / f"tzdata-{packaged_version(version)}.dist-info"
    return zones if marks.is_dir() and zones.is_dir() else None


def install(directory, version):
    package = f"tzdata=={packaged_version(version)}"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    ran = subprocess.run([*command, "--upgrade", "--target", str(directory), package], capture_output=True, text=True)
    if ran.returncode == 0:
        return installed(directory, version)
    sys.stderr.write(ran.stderr)
    return None


def database(version, directory, names):
    """The directory of the zone database of exactly this version."""
    found = installed(directory, version)
    if found:
        return found
    seen = []
    for path in map(Path, zoneinfo.TZPATH):
        has = version_in(path)
        # Some systems leave old names out.
        if has == version and all((path / name).is_file() for name in names):
            return path
        seen += [f"{path} has {has}"] if has else []
    found = install(directory, version)
    if found:
        return found
    sys.exit(
        f"the zone database {version} is needed here, the one that rtconfd was built with, and was not found"
        f" ({'; '.join(seen) or 'the machine has none'}).\n"
        f"Another version has other rules, and comparing with it would prove nothing. Install pip (Debian:"
        f" python3-pip) and have a network, or run\n"
        f"    pip install --target {directory} tzdata=={packaged_version(version)}"
    )


# ---- one zone ------------------------------------------------------------------------------------------------------


class Zone:
    def __init__(self, path, name):
        self.name = name
        # From the file, so that no other database is asked behind our back.
        with path.open("rb") as file:
            self.zone = zoneinfo.ZoneInfo.from_file(file, key=name)
        self.transitions = list(self.find_transitions())

    def local(self, instant):
        return seconds((EPOCH_UTC + timedelta(seconds=instant)).astimezone(self.zone).replace(tzinfo=None))

    def state(self, instant):
        at = (EPOCH_UTC + timedelta(seconds=instant)).astimezone(self.zone)
        return at.utcoffset(), at.dst(), at.tzname()

    def find_transitions(self):
        """Day by day, and where two days differ, to the second. A gap of the list's ends is of no interest."""
        at, end = seconds(datetime(FIRST, 1, 1)), seconds(datetime(LAST + 1, 1, 1))
        before = self.state(at)
        while at < end:
            after = self.state(at + DAY)
            if after != before:
                low, high = at, at + DAY
                while high - low > 1:
                    middle = (low + high) // 2
                    low, high = (middle, high) if self.state(middle) == before else (low, middle)
                yield high
            at, before = at + DAY, after

    def event(self, local):
        """RFC 5545, 3.3.5, which PEP 495 has as fold=0: the first of two, and the offset before a gap."""
        wall = (EPOCH + timedelta(seconds=local)).replace(tzinfo=self.zone, fold=0)
        return (wall - wall.utcoffset()).replace(tzinfo=timezone.utc) - EPOCH_UTC

    def resolve(self, local):
        """The instant of a local time for hours, and the one for calendar events."""
        event = self.event(local) // timedelta(seconds=1)
        shown = self.local(event)
        if shown == local:
            return event, event
        # The clock skips it. With the offset before, it comes after the change; that is the last one before it.
        index = bisect_right(self.transitions, event) - 1
        change = self.transitions[index]
        if not (self.local(change - 1) < local < self.local(change)):
            sys.exit(f"{self.name}: {local} is in no gap")
        return change, event

    def occurs(self, midnight):
        """Whether the wall clock shows the date at any time: half an hour is the shortest that could be left of it."""
        start, _ = self.resolve(midnight)
        return any(midnight <= self.local(at) < midnight + DAY for at in range(start, start + DAY, 1800))

    def show(self, instant):
        at = (EPOCH_UTC + timedelta(seconds=instant))
        there = at.astimezone(self.zone)
        return f"{there:%a %Y-%m-%d %H:%M:%S} {self.name} ({at:%Y-%m-%dT%H:%M:%SZ})"

    # -- what is asked of it

    def probes(self):
        yield f"Z {self.name}"
        for change in self.transitions:
            yield f"T {change}"
            yield from self.around(change)
        # A zone that never changes its clock is asked too: each month, an hour that wanders.
        for month in range((LAST - FIRST + 1) * 12):
            day = date(FIRST + month // 12, month % 12 + 1, 1 + month % 28)
            local = seconds(datetime(day.year, day.month, day.day)) + month * 3607 % DAY
            yield self.line_of_local(local)
            yield f"I {local} {self.local(local)}"

    def around(self, change):
        before, after = self.local(change - 1) + 1, self.local(change)
        reach = HOURS * 3600
        locals_ = set(range(min(before, after) - reach, max(before, after) + reach + 1, STEP))
        for edge in (before, after):
            locals_.update((edge - 1, edge, edge + 1))
        yield from map(self.line_of_local, sorted(locals_))
        instants = set(range(change - reach, change + reach + 1, STEP)) | {change - 1, change + 1}
        for instant in sorted(instants):
            yield f"I {instant} {self.local(instant)}"
        midnight = after // DAY * DAY
        for day in (midnight - DAY, midnight, midnight + DAY):
            yield f"D {day} {self.resolve(day)[0]} {int(self.occurs(day))}"
        for instant in (change - 1, change):
            yield f"S {instant} {self.show(instant)}"

    def line_of_local(self, local):
        instant, event = self.resolve(local)
        return f"L {local} {instant} {event}"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    version, directory = sys.argv[1], Path(sys.argv[2])
    names = sys.stdin.read().split()
    root = database(version, directory, names)
    write = sys.stdout.write
    write(f"V {version} {root}\n")
    for name in names:
        path = root / name
        if not path.is_file():
            write(f"X {name}\n")
            continue
        write("\n".join(Zone(path, name).probes()) + "\n")


if __name__ == "__main__":
    main()
