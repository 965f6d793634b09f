//! Wires ingest to lake: batches, back-pressure, ledger.
