"""Fakes of the CRMs over HTTP, for tests and the demo; written from the contracts, not from the clients."""
