-- Slots of the meter that were ever used
--
-- What Redis has lost of a slot that is here is read from the ledger, and not taken for nothing: see
-- llmgw/cluster/meter.py.

CREATE TABLE meter_slots (
    slot text COLLATE "C" PRIMARY KEY,
    first_used_at timestamptz NOT NULL DEFAULT now()
);
