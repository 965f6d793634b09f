ALTER TABLE incidents ADD COLUMN away TEXT NOT NULL DEFAULT '[]';
ALTER TABLE incidents ADD COLUMN away_us BIGINT NOT NULL DEFAULT 0;
CREATE INDEX incidents_by_detection ON incidents (tenant, detected_at);
CREATE TABLE clock_settings (
  tenant TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL,
  changed_by TEXT NOT NULL, changed_at BIGINT NOT NULL, version BIGINT NOT NULL,
  PRIMARY KEY (tenant, name)
);
CREATE TABLE escalations (
  tenant TEXT NOT NULL, id TEXT NOT NULL, number BIGINT NOT NULL, subject TEXT NOT NULL,
  clock TEXT NOT NULL, level BIGINT NOT NULL, at BIGINT NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX escalations_once ON escalations (tenant, subject, clock, level);
CREATE INDEX escalations_by_number ON escalations (tenant, number);
CREATE INDEX escalations_by_time ON escalations (tenant, at);
CREATE TABLE rotations (
  tenant TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, name_key TEXT NOT NULL,
  body TEXT NOT NULL, changed_by TEXT NOT NULL, changed_at BIGINT NOT NULL, version BIGINT NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX rotations_by_name ON rotations (tenant, name_key);
CREATE TABLE stand_ins (
  tenant TEXT NOT NULL, id TEXT NOT NULL, rotation_id TEXT NOT NULL, name TEXT NOT NULL,
  instead_of TEXT, from_time BIGINT NOT NULL, to_time BIGINT NOT NULL,
  created_by TEXT NOT NULL, created_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, id),
  FOREIGN KEY (tenant, rotation_id) REFERENCES rotations (tenant, id)
);
CREATE INDEX stand_ins_by_rotation ON stand_ins (tenant, rotation_id, to_time);
CREATE TABLE contacts (
  tenant TEXT NOT NULL, name TEXT NOT NULL, email TEXT NOT NULL, mention TEXT NOT NULL,
  PRIMARY KEY (tenant, name)
);
CREATE TABLE handovers (
  tenant TEXT NOT NULL, id TEXT NOT NULL, number BIGINT NOT NULL,
  from_time BIGINT NOT NULL, to_time BIGINT NOT NULL,
  given_by TEXT NOT NULL, given_at BIGINT NOT NULL, accepted_by TEXT, accepted_at BIGINT,
  notes TEXT NOT NULL, snapshot TEXT NOT NULL, digest TEXT NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX handovers_by_number ON handovers (tenant, number);
