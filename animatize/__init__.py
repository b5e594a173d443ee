"""The operator's command: works on a machine with the data folder, or against a running gateway.

It is the one place beside the gateway that knows all five services: their files by the services' own code, never by
statements of its own.
"""
