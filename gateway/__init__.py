"""The only public process: says who is calling, brings each request to its service, keeps no user data."""
