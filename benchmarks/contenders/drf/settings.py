"""What a Django that serves an API only has switched on."""

import os
from urllib.parse import urlsplit

_URL = urlsplit(os.environ["BENCH_DATABASE_URL"])

SECRET_KEY = os.environ["BENCH_JWT_KEY"]
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "drf.urls"
INSTALLED_APPS = ["django.contrib.postgres", "rest_framework", "drf"]
MIDDLEWARE = ["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": _URL.hostname,
        "PORT": _URL.port,
        "NAME": _URL.path.removeprefix("/"),
        "USER": _URL.username,
        "PASSWORD": _URL.password,
        # Every thread keeps its connection.
        "CONN_MAX_AGE": None,
    }
}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["drf.authentication.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "UNAUTHENTICATED_USER": None,
}
USE_TZ = True
TIME_ZONE = "UTC"
