"""Ask our own /readyz, for Docker: the exit status is the answer."""

import os
import sys
from http.client import HTTPConnection

# Not urllib, which would ask the proxy of the environment.
connection = HTTPConnection("127.0.0.1", int(os.environ.get("TASKAPP_PORT", "8000")), timeout=4)
connection.request("GET", f"{os.environ.get('SCRIPT_NAME', '')}/readyz")
sys.exit(connection.getresponse().status != 200)
