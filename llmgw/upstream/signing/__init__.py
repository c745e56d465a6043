"""Providers that want a request signed, or a token fetched for it: the adapters of `ports.Signer`."""
