"""Starts the auth service."""

from auth_service.app import create_app
from auth_service.settings import Settings
from chassis import running

if __name__ == "__main__":
    running.start(Settings, create_app, process="auth_service")
