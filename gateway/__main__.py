"""Starts the gateway."""

from chassis import running
from gateway.app import create_app
from gateway.settings import Settings

if __name__ == "__main__":
    running.start(Settings, create_app, process="gateway")
