"""The server of tests/admin/, whose administrator is no superuser, for the pages too."""

from admin.conftest import neon

__all__ = ["neon"]
