"""Starts the vault service."""

from chassis import running
from vault_service.app import create_app
from vault_service.settings import Settings

if __name__ == "__main__":
    running.start(Settings, create_app, process="vault_service")
