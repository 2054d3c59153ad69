"""The vendor's own CLI (package `polyai-adk`, Python 3.14), pushing one page to the API at the address given.

It knows only the vendor's hosts, so the one named `uk` is made to mean that address; what it asks of other hosts, whether there
is a newer version, is left out, for its own sake. Read from standard input, so that it runs wherever the interpreter is.
"""
import json
import os
import sys
import tempfile

url, key, agent = sys.argv[1], sys.argv[2], sys.argv[3]
os.environ["POLY_ADK_KEY"] = key

import poly.cli
from poly.handlers.platform_api import PlatformAPIHandler

PlatformAPIHandler.region_to_base_url["uk-1"] = url
poly.cli.display_update_message = lambda **_: None
with tempfile.TemporaryDirectory() as project:
    page = os.path.join(project, "real_time_configuration", "live")
    os.makedirs(page)
    with open(os.path.join(project, "project.yaml"), "w") as file:
        file.write(f"region: uk-1\naccount_id: ws-1\nproject_id: {agent}\n")
    with open(os.path.join(page, "data.json"), "w") as file:
        json.dump({"is_open": True, "phone": "0"}, file)
    sys.argv = ["poly", "rtc", "push", "--env", "live", "--force", "--data", "--path", project]
    try:
        poly.cli.main()
    finally:
        with open("/proc/self/status") as status:
            sizes = dict(line.split(":", 1) for line in status if line.startswith(("VmHWM", "RssAnon")))
        megabytes = {name: int(size.split()[0]) // 1024 for name, size in sizes.items()}
        print(f"{megabytes['VmHWM']} MB, {megabytes['RssAnon']} of them its own")
