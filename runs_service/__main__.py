"""Starts the runs service."""

from chassis import serving
from runs_service.app import create_app
from runs_service.settings import Settings

if __name__ == "__main__":
    serving.start(Settings, create_app, process="runs_service")
