#!/usr/bin/env python3
"""Runs a program with the system calls and socket families that a systemd unit allows, where systemd cannot run it.

    run-confined.py UNIT PROGRAM [ARGUMENT]...

Reads SystemCallFilter, RestrictAddressFamilies and MemoryDenyWriteExecute of the unit, expands the groups with
systemd-analyze, and applies the same filter to itself before it executes the program. A system call that is not allowed
fails with EPERM (a socket with EAFNOSUPPORT), as under the unit.
"""

import ctypes
import os
import platform
import re
import socket
import struct
import subprocess
import sys
from pathlib import Path

# linux/audit.h
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
EPERM, EAFNOSUPPORT = 1, 97
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # classic BPF, 32 bits absolute
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16  # struct seccomp_data
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1


def output(*command):
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"{command[0]} is needed (Debian: systemd, gcc): {error}")


def settings(unit, name):
    lines = Path(unit).read_text(encoding="utf-8").splitlines()
    return [line.split("=", 1)[1].strip() for line in lines if line.startswith(f"{name}=")]


def expand(name):
    """Returns the system calls of a group, which may contain other groups."""
    if not name.startswith("@"):
        return {name}
    words = (line.strip() for line in output("systemd-analyze", "syscall-filter", name).splitlines()[1:])
    return {call for word in words if word and not word.startswith("#") for call in expand(word)}


def allowed_calls(unit):
    allowed = expand("@default")  # systemd always allows these
    for line in settings(unit, "SystemCallFilter"):
        calls = {call for word in line.lstrip("~").split() for call in expand(word)}
        allowed = allowed - calls if line.startswith("~") else allowed | calls
    return allowed


def numbers():
    """Returns the numbers of this machine's system calls, from the compiler's headers."""
    defined = output("cc", "-E", "-dM", "-include", "sys/syscall.h", "-x", "c", "/dev/null")
    raw = dict(re.findall(r"^#define (__NR\w+) (\w+)$", defined, re.MULTILINE))
    found = {}
    for name, value in raw.items():
        value = raw.get(value, value)
        if name.startswith("__NR_") and value.isdigit():
            found[name[len("__NR_") :]] = int(value)
    return found


def instruction(code, k, if_true=0, if_false=0):
    return struct.pack("=HBBI", code, if_true, if_false, k)


def returns_if(value, answer):
    return [instruction(JUMP_IF_EQUAL, value, 0, 1), instruction(RETURN, answer)]


def program(unit):
    known = numbers()
    families = [
        int(getattr(socket, name)) for line in settings(unit, "RestrictAddressFamilies") for name in line.split()
    ]
    of_socket = [instruction(LOAD, FIRST_ARGUMENT)]
    for family in families:
        of_socket += returns_if(family, ALLOW)
    of_socket.append(instruction(RETURN, ERRNO | EAFNOSUPPORT))
    code = [
        instruction(LOAD, ARCHITECTURE),
        instruction(JUMP_IF_EQUAL, ARCHITECTURES[platform.machine()], 1, 0),
        instruction(RETURN, ERRNO | EPERM),
        instruction(LOAD, NUMBER),
        instruction(JUMP_IF_EQUAL, known["socket"], 0, len(of_socket)),
        *of_socket,
    ]
    for call in sorted(allowed_calls(unit) & known.keys()):
        code += returns_if(known[call], ALLOW)
    return [*code, instruction(RETURN, ERRNO | EPERM)]


def confine(unit):
    code = program(unit)
    instructions = ctypes.create_string_buffer(b"".join(code))
    filter_ = ctypes.create_string_buffer(struct.pack("@HP", len(code), ctypes.addressof(instructions)))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
    if settings(unit, "MemoryDenyWriteExecute") == ["yes"]:
        prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)  # Linux 6.3; an older one goes without
    for arguments in (
        (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(filter_), 0, 0),
    ):
        if prctl(*arguments) != 0:
            sys.exit(f"this system takes no seccomp filter: {os.strerror(ctypes.get_errno())}")


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    confine(sys.argv[1])
    os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
