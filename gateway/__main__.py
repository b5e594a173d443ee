"""Starts the gateway."""

from chassis import serving
from gateway.app import create_app
from gateway.settings import Settings

if __name__ == "__main__":
    serving.start(Settings, create_app, process="gateway")
