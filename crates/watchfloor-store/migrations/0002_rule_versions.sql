CREATE TABLE rule_versions (
  tenant TEXT NOT NULL, rule_id TEXT NOT NULL, version TEXT NOT NULL,
  title TEXT NOT NULL, path TEXT NOT NULL, yaml TEXT NOT NULL,
  first_at BIGINT NOT NULL, last_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, rule_id, version)
);
CREATE INDEX alerts_by_rule_version ON alerts (tenant, rule_id, rule_version);
