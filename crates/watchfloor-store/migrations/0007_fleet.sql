CREATE TABLE agents (
  tenant TEXT NOT NULL, id TEXT NOT NULL, number BIGINT NOT NULL, host TEXT NOT NULL,
  host_key TEXT NOT NULL, machine TEXT NOT NULL, status TEXT NOT NULL, group_id TEXT NOT NULL,
  enrolled_at BIGINT NOT NULL, enrolled_by TEXT NOT NULL, serial TEXT NOT NULL,
  certificate_until BIGINT NOT NULL, seen_at BIGINT, state TEXT NOT NULL, version BIGINT NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX agents_by_number ON agents (tenant, number);
CREATE INDEX agents_by_host ON agents (tenant, host_key);
CREATE INDEX agents_by_machine ON agents (tenant, machine);
CREATE TABLE agent_groups (
  tenant TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, name_key TEXT NOT NULL,
  policy TEXT NOT NULL, revision BIGINT NOT NULL, agent_version TEXT, changed_by TEXT NOT NULL,
  changed_at BIGINT NOT NULL, version BIGINT NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX agent_groups_by_name ON agent_groups (tenant, name_key);
CREATE TABLE enrolments (
  tenant TEXT NOT NULL, id TEXT NOT NULL, secret_hash TEXT NOT NULL, group_id TEXT NOT NULL,
  uses_left BIGINT NOT NULL, expires_at BIGINT NOT NULL, created_by TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX enrolments_by_secret ON enrolments (secret_hash);
CREATE TABLE agent_files (
  tenant TEXT NOT NULL, action_id TEXT NOT NULL, name TEXT NOT NULL, agent_id TEXT NOT NULL,
  size BIGINT NOT NULL, sha256 TEXT NOT NULL, kept_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, action_id, name)
);
