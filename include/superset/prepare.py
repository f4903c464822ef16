"""Make Superset ready: its database, its admin, and the dashboards of this folder.

Runs in Superset's own environment, as often as you like: one process does what
`superset db upgrade`, `fab create-admin` and `init` would do with an import of
Superset each, and imports the assets so that the files win: importing again replaces
databases, datasets, charts and dashboards (`import-dashboards` would keep old charts).

Environment: SUPERSET_ADMIN_PASSWORD; THROUGHLINE_WAREHOUSE_HOST, _PORT, _DB and
THROUGHLINE_BI_PASSWORD say where the `bi` role reads the marts.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from urllib.parse import quote

import yaml
from flask_migrate import upgrade
from superset.app import create_app

ASSETS = Path(__file__).resolve().parent
FOLDERS = ("databases", "datasets", "charts", "dashboards")
ADMIN = "admin"


def warehouse_uri() -> str:
    """The marts' address as the `bi` role, from the environment."""
    host = os.environ.get("THROUGHLINE_WAREHOUSE_HOST", "127.0.0.1")
    port = os.environ.get("THROUGHLINE_WAREHOUSE_PORT", "5432")
    name = os.environ.get("THROUGHLINE_WAREHOUSE_DB", "warehouse")
    password = quote(os.environ["THROUGHLINE_BI_PASSWORD"], safe="")
    return f"postgresql+psycopg2://bi:{password}@{host}:{port}/{name}"


def asset_files() -> dict[str, str]:
    """Every asset as Superset's importer wants it: {path: yaml text}."""
    paths = [ASSETS / "metadata.yaml"]
    for folder in FOLDERS:
        paths += sorted((ASSETS / folder).rglob("*.yaml"))
    files = {str(p.relative_to(ASSETS)): p.read_text(encoding="utf-8") for p in paths}
    for name in [n for n in files if n.startswith("databases/")]:
        database = yaml.safe_load(files[name])
        database["sqlalchemy_uri"] = warehouse_uri()
        files[name] = yaml.safe_dump(database, allow_unicode=True)
    return files


def main() -> None:
    """Bring the database up, make the admin and import the dashboards."""
    app = create_app()
    with app.app_context():
        import superset.migrations
        from superset import security_manager

        upgrade(directory=str(Path(superset.migrations.__file__).parent))
        app.appbuilder.add_permissions(update_perms=True)
        security_manager.sync_role_definitions()
        admin = security_manager.find_user(ADMIN)
        password = os.environ["SUPERSET_ADMIN_PASSWORD"]
        if admin is None:
            admin = security_manager.add_user(
                ADMIN,
                "Throughline",
                "Admin",
                "admin@example.com",
                security_manager.find_role("Admin"),
                password=password,
            )
        else:
            security_manager.reset_password(admin.id, password)

        from superset.commands.importers.v1.assets import ImportAssetsCommand
        from superset.utils.core import override_user

        with override_user(admin):
            ImportAssetsCommand(asset_files()).run()
        count = len(list((ASSETS / "dashboards").glob("*.yaml")))
        sys.stdout.write(f"imported {count} dashboard(s)\n")


if __name__ == "__main__":
    main()
