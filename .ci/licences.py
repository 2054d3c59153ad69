#!/usr/bin/env python3
"""Prints the licences of all libraries in the program, with the texts that come with them."""
import json
import pathlib
import re
import subprocess

TARGET = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
TARGET = re.search(r"^host: (.*)$", TARGET, re.MULTILINE)[1]
TEXT = re.compile(r"licen[cs]e|copying|notice|copyright", re.IGNORECASE)


def used(metadata):
    """Returns the IDs of the packages that the program is linked with."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    found, waiting = set(), [metadata["resolve"]["root"]]
    while waiting:
        package = waiting.pop()
        if package not in found:
            found.add(package)
            normal = (d for d in nodes[package]["deps"] if any(kind["kind"] is None for kind in d["dep_kinds"]))
            waiting.extend(dependency["pkg"] for dependency in normal)
    return found - {metadata["resolve"]["root"]}


def texts(folder):
    return sorted(path for path in folder.iterdir() if path.is_file() and TEXT.match(path.name))


command = ["cargo", "metadata", "--format-version=1", "--locked", f"--filter-platform={TARGET}"]
metadata = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
linked = used(metadata)
for package in sorted(metadata["packages"], key=lambda package: (package["name"], package["version"])):
    if package["id"] not in linked:
        continue
    licence = package["license"] or "see the text"
    print(f"{'=' * 100}\n{package['name']} {package['version']}: {licence}\n")
    for path in texts(pathlib.Path(package["manifest_path"]).parent):
        print(f"--- {path.name}\n{path.read_text(errors='replace').strip()}\n")
