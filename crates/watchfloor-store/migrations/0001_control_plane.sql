CREATE TABLE counters (
  tenant TEXT NOT NULL, name TEXT NOT NULL, value BIGINT NOT NULL,
  PRIMARY KEY (tenant, name)
);
CREATE TABLE cursors (
  tenant TEXT NOT NULL, name TEXT NOT NULL, position BIGINT NOT NULL,
  PRIMARY KEY (tenant, name)
);
CREATE TABLE findings (
  tenant TEXT NOT NULL, finding_id TEXT NOT NULL, outcome TEXT NOT NULL,
  record_id TEXT, taken_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, finding_id)
);
CREATE TABLE incidents (
  tenant TEXT NOT NULL, id TEXT NOT NULL, number BIGINT NOT NULL,
  title TEXT NOT NULL, title_by_hand BIGINT NOT NULL,
  summary TEXT NOT NULL, summary_by_hand BIGINT NOT NULL,
  severity BIGINT NOT NULL, severity_by_hand BIGINT NOT NULL,
  status TEXT NOT NULL, verdict TEXT, assignee TEXT,
  created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL,
  first_time BIGINT NOT NULL, last_time BIGINT NOT NULL,
  entities TEXT NOT NULL, tactics TEXT NOT NULL, techniques TEXT NOT NULL,
  detected_at BIGINT NOT NULL, acknowledged_at BIGINT, contained_at BIGINT, resolved_at BIGINT,
  merged_into TEXT, version BIGINT NOT NULL, search_text TEXT NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX incidents_by_number ON incidents (tenant, number);
CREATE INDEX incidents_by_status ON incidents (tenant, merged_into, status);
CREATE INDEX incidents_by_time ON incidents (tenant, last_time, id);
CREATE TABLE alerts (
  tenant TEXT NOT NULL, id TEXT NOT NULL,
  rule_id TEXT NOT NULL, rule_title TEXT NOT NULL, rule_version TEXT NOT NULL,
  title TEXT NOT NULL, severity BIGINT NOT NULL, status TEXT NOT NULL,
  verdict TEXT, verdict_reason TEXT, assignee TEXT,
  incident_id TEXT, attachment_reasons TEXT NOT NULL,
  time BIGINT NOT NULL, first_time BIGINT NOT NULL, last_time BIGINT NOT NULL,
  created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL,
  acknowledged_at BIGINT, closed_at BIGINT,
  count BIGINT NOT NULL, source TEXT NOT NULL, summary TEXT NOT NULL,
  entities TEXT NOT NULL, tactics TEXT NOT NULL, techniques TEXT NOT NULL,
  reasons TEXT NOT NULL, event_ids TEXT NOT NULL,
  repeat_key TEXT NOT NULL, version BIGINT NOT NULL, search_text TEXT NOT NULL,
  PRIMARY KEY (tenant, id),
  FOREIGN KEY (tenant, incident_id) REFERENCES incidents (tenant, id)
);
CREATE INDEX alerts_by_time ON alerts (tenant, time, id);
CREATE INDEX alerts_by_last_time ON alerts (tenant, last_time, time, id);
CREATE INDEX alerts_by_created ON alerts (tenant, created_at, time, id);
CREATE INDEX alerts_by_updated ON alerts (tenant, updated_at, time, id);
CREATE INDEX alerts_by_severity ON alerts (tenant, severity, time, id);
CREATE INDEX alerts_by_count ON alerts (tenant, count, time, id);
CREATE INDEX alerts_by_status ON alerts (tenant, status, time, id);
CREATE INDEX alerts_by_incident ON alerts (tenant, incident_id, time);
CREATE INDEX alerts_by_rule ON alerts (tenant, rule_id, time, id);
CREATE INDEX alerts_by_text ON alerts (tenant, search_text, id);
CREATE INDEX alerts_by_repeat ON alerts (tenant, repeat_key, last_time);
CREATE TABLE alert_entities (
  tenant TEXT NOT NULL, kind TEXT NOT NULL, value TEXT NOT NULL,
  alert_id TEXT NOT NULL, last_time BIGINT NOT NULL,
  PRIMARY KEY (tenant, kind, value, alert_id),
  FOREIGN KEY (tenant, alert_id) REFERENCES alerts (tenant, id)
);
CREATE INDEX alert_entities_by_time ON alert_entities (tenant, kind, value, last_time);
CREATE INDEX alert_entities_by_value ON alert_entities (tenant, value);
CREATE INDEX alert_entities_by_alert ON alert_entities (tenant, alert_id);
CREATE TABLE corrections (
  tenant TEXT NOT NULL, kind TEXT NOT NULL, left_id TEXT NOT NULL, right_id TEXT NOT NULL,
  actor TEXT NOT NULL, at BIGINT NOT NULL,
  PRIMARY KEY (tenant, kind, left_id, right_id)
);
CREATE TABLE notes (
  tenant TEXT NOT NULL, id TEXT NOT NULL, parent_id TEXT NOT NULL,
  text TEXT NOT NULL, author TEXT NOT NULL, created_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX notes_by_parent ON notes (tenant, parent_id, created_at);
CREATE TABLE tasks (
  tenant TEXT NOT NULL, id TEXT NOT NULL, incident_id TEXT NOT NULL,
  title TEXT NOT NULL, status TEXT NOT NULL, assignee TEXT,
  created_by TEXT NOT NULL, created_at BIGINT NOT NULL, done_at BIGINT,
  PRIMARY KEY (tenant, id),
  FOREIGN KEY (tenant, incident_id) REFERENCES incidents (tenant, id)
);
CREATE INDEX tasks_by_incident ON tasks (tenant, incident_id, created_at);
CREATE TABLE observables (
  tenant TEXT NOT NULL, id TEXT NOT NULL, incident_id TEXT NOT NULL,
  kind TEXT NOT NULL, value TEXT NOT NULL, note TEXT,
  added_by TEXT NOT NULL, added_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, id),
  FOREIGN KEY (tenant, incident_id) REFERENCES incidents (tenant, id)
);
CREATE INDEX observables_by_incident ON observables (tenant, incident_id, added_at);
CREATE TABLE suppressions (
  tenant TEXT NOT NULL, id TEXT NOT NULL, rule_id TEXT, conditions TEXT NOT NULL,
  reason TEXT NOT NULL, created_by TEXT NOT NULL, created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL, count BIGINT NOT NULL, last_at BIGINT,
  PRIMARY KEY (tenant, id)
);
CREATE TABLE users (
  tenant TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, name_key TEXT NOT NULL,
  password_hash TEXT NOT NULL, role TEXT NOT NULL, disabled BIGINT NOT NULL,
  created_at BIGINT NOT NULL, last_sign_in_at BIGINT,
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX users_by_name ON users (tenant, name_key);
CREATE TABLE sessions (
  tenant TEXT NOT NULL, id TEXT NOT NULL, user_id TEXT NOT NULL, secret_hash TEXT NOT NULL,
  created_at BIGINT NOT NULL, last_seen_at BIGINT NOT NULL, expires_at BIGINT NOT NULL,
  address TEXT NOT NULL, user_agent TEXT NOT NULL,
  PRIMARY KEY (tenant, id),
  FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id)
);
CREATE UNIQUE INDEX sessions_by_secret ON sessions (secret_hash);
CREATE INDEX sessions_by_user ON sessions (tenant, user_id);
CREATE TABLE tokens (
  tenant TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, secret_hash TEXT NOT NULL,
  scopes TEXT NOT NULL, created_by TEXT NOT NULL, created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL, last_used_at BIGINT,
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX tokens_by_secret ON tokens (secret_hash);
CREATE TABLE setup_links (
  tenant TEXT NOT NULL PRIMARY KEY, secret_hash TEXT NOT NULL, expires_at BIGINT NOT NULL
);
CREATE TABLE audit (
  tenant TEXT NOT NULL, seq BIGINT NOT NULL, at BIGINT NOT NULL, actor TEXT NOT NULL,
  action TEXT NOT NULL, target TEXT NOT NULL, detail TEXT NOT NULL,
  previous_hash TEXT NOT NULL, hash TEXT NOT NULL,
  PRIMARY KEY (tenant, seq)
);
CREATE INDEX audit_by_target ON audit (tenant, target, seq);
CREATE TABLE outbox (
  tenant TEXT NOT NULL, seq BIGINT NOT NULL, at BIGINT NOT NULL,
  kind TEXT NOT NULL, target TEXT NOT NULL,
  PRIMARY KEY (tenant, seq)
);
CREATE TABLE ledger (
  tenant TEXT NOT NULL, source TEXT NOT NULL, hour BIGINT NOT NULL,
  received BIGINT NOT NULL, decoded BIGINT NOT NULL, undecoded BIGINT NOT NULL,
  stored BIGINT NOT NULL, evaluated BIGINT NOT NULL, dropped TEXT NOT NULL,
  PRIMARY KEY (tenant, hour, source)
);
