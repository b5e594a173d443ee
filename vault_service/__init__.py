"""Keeps every owner's provider keys, encrypted, and the catalogue of providers; only workers ever see a key again."""
