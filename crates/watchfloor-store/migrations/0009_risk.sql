ALTER TABLE alerts ADD COLUMN traces TEXT NOT NULL DEFAULT '[]';
ALTER TABLE alerts ADD COLUMN risk BIGINT NOT NULL DEFAULT 0;
ALTER TABLE alerts ADD COLUMN risk_parts TEXT NOT NULL DEFAULT '[]';
ALTER TABLE incidents ADD COLUMN severity_reasons TEXT NOT NULL DEFAULT '[]';
ALTER TABLE incidents ADD COLUMN risk BIGINT NOT NULL DEFAULT 0;
ALTER TABLE incidents ADD COLUMN risk_parts TEXT NOT NULL DEFAULT '[]';
ALTER TABLE corrections ADD COLUMN reason TEXT NOT NULL DEFAULT '';
CREATE INDEX alerts_by_risk ON alerts (tenant, risk, time, id);
CREATE INDEX incidents_by_risk ON incidents (tenant, risk, last_time, id);
CREATE INDEX incidents_by_severity ON incidents (tenant, severity, last_time, id);
CREATE TABLE alert_traces (
  tenant TEXT NOT NULL, trace TEXT NOT NULL, alert_id TEXT NOT NULL, last_time BIGINT NOT NULL,
  PRIMARY KEY (tenant, trace, alert_id),
  FOREIGN KEY (tenant, alert_id) REFERENCES alerts (tenant, id)
);
CREATE INDEX alert_traces_by_time ON alert_traces (tenant, trace, last_time);
CREATE TABLE mentions (
  tenant TEXT NOT NULL, name_key TEXT NOT NULL, note_id TEXT NOT NULL, parent_id TEXT NOT NULL,
  author TEXT NOT NULL, text TEXT NOT NULL, at BIGINT NOT NULL, seen_at BIGINT,
  PRIMARY KEY (tenant, name_key, note_id)
);
CREATE INDEX mentions_by_name ON mentions (tenant, name_key, at);
