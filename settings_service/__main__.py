"""Starts the settings service."""

from chassis import running
from settings_service.app import create_app
from settings_service.settings import Settings

if __name__ == "__main__":
    running.start(Settings, create_app, process="settings_service")
