"""Starts the vault service."""

from chassis import serving
from vault_service.app import create_app
from vault_service.settings import Settings

if __name__ == "__main__":
    serving.start(Settings, create_app, process="vault_service")
