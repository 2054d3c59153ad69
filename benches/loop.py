"""The documented way to set variables, in a loop: one request a page, each on a connection of its own."""
import sys

import requests

url, key, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
for number in range(count):
    reply = requests.patch(
        f"{url}/v1/agents/L-{number}/real-time-configs/live/variables",
        headers={"x-api-key": key},
        json={"variables": {"is_open": True, "phone": str(number)}},
        timeout=20,
    )
    reply.raise_for_status()
