"""Starts the runs service."""

from chassis import running
from runs_service.app import create_app
from runs_service.settings import Settings

if __name__ == "__main__":
    running.start(Settings, create_app, process="runs_service")
