ALTER TABLE suppressions ADD COLUMN day_window TEXT;
ALTER TABLE suppressions ADD COLUMN threshold TEXT;
CREATE TABLE threshold_findings (
  tenant TEXT NOT NULL, suppression TEXT NOT NULL, key TEXT NOT NULL, time BIGINT NOT NULL,
  finding_id TEXT NOT NULL,
  PRIMARY KEY (tenant, suppression, finding_id)
);
CREATE INDEX threshold_findings_by_key ON threshold_findings (tenant, suppression, key, time);
