"""The application with keys and databases of nobody: enough to write down its document (`make openapi`)."""

import os

from taskapp import create_app
from taskapp.operations.database.provision import new_keys, urls

os.environ.update(
    {
        "TASKAPP_ENVIRONMENT": "local",
        **urls(lambda role: f"postgresql://{role}@localhost/none"),
        **new_keys("none"),
    }
)
app = create_app()
