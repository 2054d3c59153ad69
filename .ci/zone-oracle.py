#!/usr/bin/env python3
"""Converts between local times and instants with Python's zoneinfo alone.

    zone-oracle.py newest DIRECTORY < names-of-zones > answers
    zone-oracle.py FOLDER < names-of-zones > answers

For every zone named on standard input it finds each transition from 2025 to 2037. It prints the expected results for the
local times and instants from three hours before each transition to three hours after. It shares no code with rtconfd. The
zone database is the newest package tzdata that pip finds, which is installed into DIRECTORY; or the one in FOLDER, such as
/usr/share/zoneinfo.

The answers, one a line; times are seconds since 1970, local ones as if the wall clock were UTC:

    V version folder             the zone database
    Z name                       a zone; the following lines belong to it
    T instant                    a transition
    L local instant event        a local time: its instant, and that of a calendar event at it
    I instant local              what the wall clock shows
    H instant offset hours       (newest only, once for names with the same rules) the offset in seconds for a number of hours from an instant
    D local start occurs         a date's midnight: the date's first instant, and 1 if the date occurs
    S instant text               the instant formatted for people
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

FIRST, LAST = 2025, 2037
HOURS = 3
STEP = 300  # seconds between two probes
EPOCH = datetime(1970, 1, 1)
EPOCH_UTC = datetime(1970, 1, 1, tzinfo=timezone.utc)
DAY = 86400


def seconds(naive):
    return (naive - EPOCH) // timedelta(seconds=1)


# ---- the zone database ---------------------------------------------------------------------------------------------


def version_in(directory):
    """Returns the version that a directory of compiled zones states, if it does."""
    for name in ("tzdata.zi", "+VERSION"):
        try:
            line = (directory / name).read_text(encoding="utf-8").split("\n", 1)[0]
        except OSError:
            continue
        return line.replace("# version", "").strip()
    return "unknown"


def newest(directory):
    """Returns the folder of the newest zone database that pip finds; without a network, of the one found before."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    ran = subprocess.run([*command, "--upgrade", "--target", str(directory), "tzdata"], capture_output=True, text=True)
    folder = directory / "tzdata" / "zoneinfo"
    if folder.is_dir():
        return folder
    sys.exit(
        f"{ran.stderr}\nthe newest zone database is needed here and was not found. Install pip (Debian: python3-pip) and"
        f" have a network, or run\n    pip install --target {directory} tzdata"
    )


# ---- one zone ------------------------------------------------------------------------------------------------------


class Zone:
    def __init__(self, path, name):
        self.name = name
        # From the file, since zoneinfo would otherwise also search other databases.
        with path.open("rb") as file:
            self.zone = zoneinfo.ZoneInfo.from_file(file, key=name)
        self.transitions = list(self.find_transitions())

    def local(self, instant):
        return seconds((EPOCH_UTC + timedelta(seconds=instant)).astimezone(self.zone).replace(tzinfo=None))

    def state(self, instant):
        at = (EPOCH_UTC + timedelta(seconds=instant)).astimezone(self.zone)
        return at.utcoffset(), at.dst(), at.tzname()

    def find_transitions(self):
        """Finds transitions by comparing days, then exactly to the second."""
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
        """Applies RFC 5545, 3.3.5, which is fold=0 in PEP 495: the first of two times, and the offset before a gap."""
        wall = (EPOCH + timedelta(seconds=local)).replace(tzinfo=self.zone, fold=0)
        return (wall - wall.utcoffset()).replace(tzinfo=timezone.utc) - EPOCH_UTC

    def resolve(self, local):
        """Returns the instant of a local time for hours, and the one for calendar events."""
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
        """Returns true if the wall clock shows the date at any time; at least half an hour of it would remain."""
        start, _ = self.resolve(midnight)
        return any(midnight <= self.local(at) < midnight + DAY for at in range(start, start + DAY, 1800))

    def show(self, instant):
        at = (EPOCH_UTC + timedelta(seconds=instant))
        there = at.astimezone(self.zone)
        return f"{there:%a %Y-%m-%d %H:%M:%S} {self.name} ({at:%Y-%m-%dT%H:%M:%SZ})"

    # -- what is asked of it

    def probes(self, with_hours):
        yield f"Z {self.name}"
        if with_hours:
            yield from self.hours()
        for change in self.transitions:
            yield f"T {change}"
            yield from self.around(change)
        # A zone that never changes its clock is asked too: each month, an hour that wanders.
        for month in range((LAST - FIRST + 1) * 12):
            day = date(FIRST + month // 12, month % 12 + 1, 1 + month % 28)
            local = seconds(datetime(day.year, day.month, day.day)) + month * 3607 % DAY
            yield self.line_of_local(local)
            yield f"I {local} {self.local(local)}"

    def hours(self):
        """Returns every hour of the years, as runs of hours with the same offset."""
        first, end = seconds(datetime(FIRST, 1, 1)), seconds(datetime(LAST + 1, 1, 1))
        start, offset = first, self.state(first)[0]
        for at in range(first, end, 3600):
            there = datetime.fromtimestamp(at, self.zone).utcoffset()
            if there != offset:
                yield f"H {start} {offset // timedelta(seconds=1)} {(at - start) // 3600}"
                start, offset = at, there
        yield f"H {start} {offset // timedelta(seconds=1)} {(end - start) // 3600}"

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
    if sys.argv[1:2] == ["newest"] and len(sys.argv) == 3:
        root, with_hours = newest(Path(sys.argv[2])), True
    elif len(sys.argv) == 2:
        root, with_hours = Path(sys.argv[1]), False
    else:
        sys.exit(__doc__)
    names = sys.stdin.read().split()
    write = sys.stdout.write
    write(f"V {version_in(root)} {root}\n")
    seen = set()
    for name in names:
        path = root / name
        if not path.is_file():
            write(f"X {name}\n")
            continue
        rules = path.read_bytes()
        write("\n".join(Zone(path, name).probes(with_hours and rules not in seen)) + "\n")
        seen.add(rules)


if __name__ == "__main__":
    main()
