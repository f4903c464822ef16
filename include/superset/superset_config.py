"""Superset's settings; every secret and address comes from the environment."""

import os

SECRET_KEY = os.environ["SUPERSET_SECRET_KEY"]
SQLALCHEMY_DATABASE_URI = os.environ["SUPERSET_DATABASE_URI"]

# Plain http on the loopback in the demo; behind TLS in production set it to true.
TALISMAN_ENABLED = os.environ.get("SUPERSET_TALISMAN", "false") == "true"
SESSION_COOKIE_SECURE = TALISMAN_ENABLED
WTF_CSRF_ENABLED = True

# One machine: rate limits and caches live in memory.
RATELIMIT_STORAGE_URI = "memory://"
CACHE_CONFIG = {"CACHE_TYPE": "SimpleCache", "CACHE_DEFAULT_TIMEOUT": 60}
DATA_CACHE_CONFIG = {"CACHE_TYPE": "SimpleCache", "CACHE_DEFAULT_TIMEOUT": 60}

BABEL_DEFAULT_LOCALE = "ru"
LANGUAGES = {
    "ru": {"flag": "ru", "name": "Русский"},
    "en": {"flag": "us", "name": "English"},
}
D3_FORMAT = {
    "decimal": ",",
    "thousands": "\u00a0",
    "grouping": [3],
    "currency": ["", "\u00a0₽"],
}
ROW_LIMIT = 5000
SQL_MAX_ROW = 50000
EXTRA_CATEGORICAL_COLOR_SCHEMES = [
    {
        "id": "throughline",
        "label": "Throughline",
        "description": "Calm and readable on white",
        "isDefault": True,
        "colors": [
            "#2F5DA8", "#E07A3F", "#3C9D8C", "#C9A227", "#8A5FA8",
            "#D0566B", "#6B8E3D", "#4FA3D1", "#A56A43", "#7A8594",
        ],
    }
]  # fmt: skip
FEATURE_FLAGS = {
    "DASHBOARD_NATIVE_FILTERS": True,
    "ENABLE_TEMPLATE_PROCESSING": False,
}
