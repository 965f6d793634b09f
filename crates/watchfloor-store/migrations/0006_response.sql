CREATE TABLE actions (
  tenant TEXT NOT NULL, id TEXT NOT NULL, number BIGINT NOT NULL, status TEXT NOT NULL,
  incident_id TEXT, run_id TEXT, proposed_at BIGINT NOT NULL,
  not_before BIGINT NOT NULL, undo_at BIGINT, body TEXT NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX actions_by_status ON actions (tenant, status, not_before);
CREATE INDEX actions_by_number ON actions (tenant, number);
CREATE INDEX actions_by_incident ON actions (tenant, incident_id, number);
CREATE INDEX actions_by_undo ON actions (tenant, undo_at);
CREATE TABLE action_policies (
  tenant TEXT NOT NULL, kind TEXT NOT NULL, needs_approval BIGINT NOT NULL, time_limit_s BIGINT,
  PRIMARY KEY (tenant, kind)
);
CREATE TABLE connectors (
  tenant TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, name_key TEXT NOT NULL,
  kind TEXT NOT NULL, serves TEXT NOT NULL, settings TEXT NOT NULL, is_enabled BIGINT NOT NULL,
  changed_by TEXT NOT NULL, changed_at BIGINT NOT NULL, version BIGINT NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX connectors_by_name ON connectors (tenant, name_key);
CREATE TABLE secrets (
  tenant TEXT NOT NULL, owner TEXT NOT NULL, name TEXT NOT NULL, sealed TEXT NOT NULL,
  PRIMARY KEY (tenant, owner, name)
);
CREATE TABLE playbooks (
  tenant TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, description TEXT NOT NULL,
  document TEXT NOT NULL, is_built_in BIGINT NOT NULL, is_runnable BIGINT NOT NULL,
  changed_by TEXT NOT NULL, changed_at BIGINT NOT NULL, version BIGINT NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE TABLE playbook_runs (
  tenant TEXT NOT NULL, id TEXT NOT NULL, number BIGINT NOT NULL, status TEXT NOT NULL,
  playbook_id TEXT NOT NULL, incident_id TEXT, parent_run TEXT, machine TEXT NOT NULL,
  document TEXT NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX playbook_runs_by_number ON playbook_runs (tenant, number);
CREATE INDEX playbook_runs_by_status ON playbook_runs (tenant, status, number);
CREATE INDEX playbook_runs_by_incident ON playbook_runs (tenant, incident_id, number);
CREATE TABLE run_steps (
  tenant TEXT NOT NULL, run_id TEXT NOT NULL, instance BIGINT NOT NULL, status TEXT NOT NULL,
  waits_for TEXT, due_at BIGINT, body TEXT NOT NULL,
  PRIMARY KEY (tenant, run_id, instance)
);
CREATE INDEX run_steps_by_due ON run_steps (tenant, status, due_at);
CREATE INDEX run_steps_by_wait ON run_steps (tenant, status, waits_for);
